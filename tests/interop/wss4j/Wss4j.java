// Apache WSS4J as a partner's developer would use it. Jobs in (stdin, one a line, words parted by tabs),
// an answer a line out. Keys and certificates are PEM files.
//
//   sign     certificate  key  algorithm  reference  base64 of an envelope   -> base64 of the signed envelope
//   verify   certificate  base64 of an envelope   -> "signed", a tab, the names of what is signed
//
// What can't be done is answered by "refused", a tab, and why.
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.TreeSet;
import javax.xml.namespace.QName;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.ws.security.WSConstants;
import org.apache.ws.security.WSDataRef;
import org.apache.ws.security.WSEncryptionPart;
import org.apache.ws.security.WSSecurityEngine;
import org.apache.ws.security.WSSecurityEngineResult;
import org.apache.ws.security.components.crypto.Merlin;
import org.apache.ws.security.message.WSSecHeader;
import org.apache.ws.security.message.WSSecSignature;
import org.apache.ws.security.message.WSSecTimestamp;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

public final class Wss4j {
    private static final String EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#";
    private static final String SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256";
    private static final char[] PASSWORD = "interop".toCharArray();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] job = line.split("\t");
            try {
                System.out.println(done(job));
            } catch (Exception error) {
                System.out.println("refused\t" + String.valueOf(error).replaceAll("\\s+", " "));
            }
        }
    }

    private static String done(String[] job) throws Exception {
        Document envelope = parsed(Base64.getDecoder().decode(job[job.length - 1]));
        if (job[0].equals("sign")) {
            return encoded(signed(envelope, store(job[1], job[2]), job[3], job[4]));
        }
        return "signed\t" + String.join(" ", verified(envelope, store(job[1], null)));
    }

    private static Document signed(Document envelope, KeyStore keys, String algorithm, String reference)
            throws Exception {
        WSSecHeader block = new WSSecHeader();
        block.setMustUnderstand(true);
        block.insertSecurityHeader(envelope);
        WSSecTimestamp timestamp = new WSSecTimestamp();
        timestamp.setTimeToLive(300);
        timestamp.build(envelope, block);
        WSSecSignature signature = new WSSecSignature();
        signature.setUserInfo("interop", new String(PASSWORD));
        signature.setSignatureAlgorithm(algorithm);
        signature.setDigestAlgo(SHA256);
        signature.setSigCanonicalization(EXCLUSIVE);
        signature.setKeyIdentifierType(
            reference.equals("token") ? WSConstants.BST_DIRECT_REFERENCE
            : reference.equals("thumbprint") ? WSConstants.THUMBPRINT_IDENTIFIER
            : reference.equals("key_id") ? WSConstants.SKI_KEY_IDENTIFIER
            : WSConstants.ISSUER_SERIAL);
        String soap = envelope.getDocumentElement().getNamespaceURI();
        List<WSEncryptionPart> parts = new ArrayList<>();
        parts.add(new WSEncryptionPart("Body", soap, "Content"));
        parts.add(new WSEncryptionPart("Timestamp", WSConstants.WSU_NS, ""));
        if (envelope.getElementsByTagNameNS("urn:umrah:types:v1", "MessageHeader").getLength() > 0) {
            parts.add(new WSEncryptionPart("MessageHeader", "urn:umrah:types:v1", ""));
        }
        signature.setParts(parts);
        return signature.build(envelope, crypto(keys), block);
    }

    private static TreeSet<String> verified(Document envelope, KeyStore trusted) throws Exception {
        List<WSSecurityEngineResult> results =
            new WSSecurityEngine().processSecurityHeader(envelope, null, null, crypto(trusted));
        TreeSet<String> names = new TreeSet<>();
        for (WSSecurityEngineResult result : results) {
            Object references = result.get(WSSecurityEngineResult.TAG_DATA_REF_URIS);
            if ((Integer) result.get(WSSecurityEngineResult.TAG_ACTION) == WSConstants.SIGN) {
                for (Object reference : (List<?>) references) {
                    QName name = ((WSDataRef) reference).getName();
                    names.add(name.getLocalPart());
                }
            }
        }
        return names;
    }

    private static Merlin crypto(KeyStore store) {
        Merlin merlin = new Merlin();
        merlin.setKeyStore(store);
        return merlin;
    }

    /** With one certificate, and its private key unless that is null. */
    private static KeyStore store(String certificate, String key) throws Exception {
        KeyStore store = KeyStore.getInstance("JKS");
        store.load(null, PASSWORD);
        Certificate found;
        try (InputStream pem = Files.newInputStream(Paths.get(certificate))) {
            found = CertificateFactory.getInstance("X.509").generateCertificate(pem);
        }
        if (key == null) {
            store.setCertificateEntry("interop", found);
        } else {
            String pem = new String(Files.readAllBytes(Paths.get(key)), StandardCharsets.US_ASCII);
            byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
            PrivateKey made = KeyFactory.getInstance(found.getPublicKey().getAlgorithm())
                .generatePrivate(new PKCS8EncodedKeySpec(der));
            store.setKeyEntry("interop", made, PASSWORD, new Certificate[] {found});
        }
        return store;
    }

    private static Document parsed(byte[] xml) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        return factory.newDocumentBuilder().parse(new ByteArrayInputStream(xml));
    }

    private static String encoded(Document document) throws Exception {
        Transformer writer = TransformerFactory.newInstance().newTransformer();
        writer.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes");
        StringWriter text = new StringWriter();
        writer.transform(new DOMSource(document.getDocumentElement()), new StreamResult(text));
        return Base64.getEncoder().encodeToString(text.toString().getBytes(StandardCharsets.UTF_8));
    }
}
