// Reads an AsyncAPI document from standard input; prints every finding as JSON. Nothing is fetched.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const findings = diagnostics.map(({ severity, code, path, message }) => ({ severity, code, path, message }));
console.log(JSON.stringify({ parsed: document !== undefined, findings }));
