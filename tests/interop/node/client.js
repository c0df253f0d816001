// Calls as the npm package `soap` makes them: a list of calls in (stdin, JSON), a list of outcomes out.
'use strict';

const soap = require('soap');

function introducing(call) {
  return new soap.WSSecurity(call.username, call.secret, {
    passwordType: call.password === 'digest' ? 'PasswordDigest' : 'PasswordText',
    hasTimeStamp: true,
    mustUnderstand: true,
  });
}

// By default it names elements by an `Id` of its own, and adds a transform that changes nothing here.
function signing(call) {
  return new soap.WSSecurityCert(call.key, call.certificate, '', {
    hasTimeStamp: true,
    signatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    signatureTransformations: ['http://www.w3.org/2001/10/xml-exc-c14n#'],
    signerOptions: { idMode: 'wssecurity' },
  });
}

async function outcome(call) {
  const client = await soap.createClientAsync(call.wsdl, {
    forceSoap12Headers: call.soap === '1.2',
  });
  client.setSecurity(call.certificate ? signing(call) : introducing(call));
  const port = client[call.service_name][call.port];
  try {
    return await new Promise((resolve, reject) => {
      port[call.operation](call.values, (error, result) => (error ? reject(error) : resolve(result)));
    });
  } catch (error) {
    const fault = error.root && error.root.Envelope && error.root.Envelope.Body.Fault;
    if (!fault) throw error;
    const detail = fault.detail || fault.Detail || {};
    const text = fault.faultstring || fault.Reason.Text;
    return { fault: { text: text.$value || text, code: (detail.code && detail.code.$value) || detail.code || null } };
  }
}

async function main() {
  let input = '';
  for await (const piece of process.stdin) input += piece;
  const outcomes = [];
  for (const call of JSON.parse(input)) outcomes.push(await outcome(call));
  process.stdout.write(JSON.stringify(outcomes));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
