// Calls as JAX-WS makes them, through classes that wsimport generated from our WSDLs. A list of calls in
// (stdin: lines of name, tab, value; an empty line ends a call), a list of outcomes out (JSON).
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.xml.datatype.DatatypeFactory;
import javax.xml.datatype.XMLGregorianCalendar;
import javax.xml.namespace.QName;
import javax.xml.soap.SOAPElement;
import javax.xml.soap.SOAPEnvelope;
import javax.xml.soap.SOAPFault;
import javax.xml.soap.SOAPHeader;
import javax.xml.ws.Binding;
import javax.xml.ws.BindingProvider;
import javax.xml.ws.Service;
import javax.xml.ws.handler.Handler;
import javax.xml.ws.handler.MessageContext;
import javax.xml.ws.handler.soap.SOAPHandler;
import javax.xml.ws.handler.soap.SOAPMessageContext;
import javax.xml.ws.soap.SOAPFaultException;

public final class Client {
    private static final String OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss";
    private static final String WSSE = OASIS + "-wssecurity-secext-1.0.xsd";
    private static final String WSU = OASIS + "-wssecurity-utility-1.0.xsd";
    private static final String PROFILE = OASIS + "-username-token-profile-1.0#";

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        List<String> outcomes = new ArrayList<>();
        Map<String, String> call = new LinkedHashMap<>();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.isEmpty()) {
                outcomes.add(outcome(call));
                call = new LinkedHashMap<>();
            } else {
                String[] pair = line.split("\t", 2);
                call.put(pair[0], pair[1]);
            }
        }
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        out.println("[" + String.join(",", outcomes) + "]");
    }

    private static String outcome(Map<String, String> call) throws Exception {
        Object port = port(call);
        Method operation = null;
        for (Method each : port.getClass().getInterfaces()[0].getMethods()) {
            if (each.getName().equalsIgnoreCase(call.get("operation"))) {
                operation = each;
            }
        }
        Object request = operation.getParameterTypes()[0].getConstructor().newInstance();
        for (Map.Entry<String, String> entry : call.entrySet()) {
            if (entry.getKey().startsWith("values.")) {
                set(request, entry.getKey().substring(7), entry.getValue());
            }
        }
        try {
            return written(operation.invoke(port, request));
        } catch (InvocationTargetException failed) {
            SOAPFault fault = ((SOAPFaultException) failed.getCause()).getFault();
            String code = fault.getDetail() == null ? "" : fault.getDetail().getTextContent();
            return "{\"fault\":{\"text\":" + quoted(fault.getFaultString()) + ",\"code\":" + quoted(code) + "}}";
        }
    }

    private static Object port(Map<String, String> call) throws Exception {
        String package_ = "generated." + call.get("service") + ".";
        String portType = call.get("port").replaceAll("Soap1[12]$", "");
        Service service = Service.create(
            new URL(call.get("wsdl")), new QName(call.get("namespace"), call.get("service_name")));
        Object port = service.getPort(
            new QName(call.get("namespace"), call.get("port")), Class.forName(package_ + portType));
        Binding binding = ((BindingProvider) port).getBinding();
        binding.setHandlerChain(Collections.<Handler>singletonList(new Security(call)));
        return port;
    }

    /** Sets a property of a generated class; a dotted path goes into the class inside it. */
    private static void set(Object bean, String path, String value) throws Exception {
        String[] parts = path.split("\\.", 2);
        StringBuilder name = new StringBuilder();
        for (String word : parts[0].split("_")) {
            name.append(Character.toUpperCase(word.charAt(0))).append(word.substring(1));
        }
        for (Method setter : bean.getClass().getMethods()) {
            if (setter.getName().equals("set" + name)) {
                Class<?> type = setter.getParameterTypes()[0];
                if (parts.length == 1) {
                    setter.invoke(bean, converted(value, type));
                    return;
                }
                Object inner = bean.getClass().getMethod("get" + name).invoke(bean);
                if (inner == null) {
                    inner = type.getConstructor().newInstance();
                    setter.invoke(bean, inner);
                }
                set(inner, parts[1], value);
                return;
            }
        }
        throw new IllegalArgumentException(path);
    }

    private static Object converted(String value, Class<?> type) throws Exception {
        if (type == int.class || type == Integer.class) {
            return Integer.valueOf(value);
        }
        if (type == XMLGregorianCalendar.class) {
            return DatatypeFactory.newInstance().newXMLGregorianCalendar(value);
        }
        return type.isEnum() ? type.getMethod("fromValue", String.class).invoke(null, value) : value;
    }

    private static String written(Object receipt) throws Exception {
        Object accepted = get(receipt, "getAccepted");
        if (accepted != null) {
            return "{\"accepted\":{\"message_id\":" + quoted(get(accepted, "getMessageId"))
                + ",\"received_at\":" + quoted(get(accepted, "getReceivedAt"))
                + ",\"duplicate\":" + get(accepted, "isDuplicate") + "}}";
        }
        Object error = get(receipt, "getServiceError");
        return "{\"service_error\":{\"code\":" + quoted(get(error, "getCode"))
            + ",\"error_type\":" + quoted(get(get(error, "getErrorType"), "value"))
            + ",\"text_ar\":" + quoted(get(error, "getTextAr")) + "}}";
    }

    private static Object get(Object bean, String getter) throws Exception {
        return bean.getClass().getMethod(getter).invoke(bean);
    }

    private static String quoted(Object value) {
        return '"' + String.valueOf(value).replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    /** Adds the wsse:Security block to each request. */
    private static final class Security implements SOAPHandler<SOAPMessageContext> {
        private final Map<String, String> call;

        Security(Map<String, String> call) {
            this.call = call;
        }

        @Override
        public boolean handleMessage(SOAPMessageContext context) {
            if (Boolean.TRUE.equals(context.get(MessageContext.MESSAGE_OUTBOUND_PROPERTY))) {
                try {
                    add(context.getMessage().getSOAPPart().getEnvelope());
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            }
            return true;
        }

        private void add(SOAPEnvelope envelope) throws Exception {
            boolean digest = "digest".equals(call.get("password"));
            byte[] nonce = new byte[16];
            new SecureRandom().nextBytes(nonce);
            String created = Instant.now().truncatedTo(ChronoUnit.MILLIS).toString();
            SOAPHeader header = envelope.getHeader() == null ? envelope.addHeader() : envelope.getHeader();
            SOAPElement security = header.addHeaderElement(new QName(WSSE, "Security", "wsse"));
            SOAPElement token = security.addChildElement("UsernameToken", "wsse");
            token.addChildElement("Username", "wsse").addTextNode(call.get("username"));
            SOAPElement password = token.addChildElement("Password", "wsse");
            password.setAttribute("Type", PROFILE + (digest ? "PasswordDigest" : "PasswordText"));
            password.addTextNode(digest ? digest(nonce, created) : call.get("secret"));
            if (digest) {
                token.addChildElement("Nonce", "wsse").addTextNode(Base64.getEncoder().encodeToString(nonce));
                token.addChildElement("Created", "wsu", WSU).addTextNode(created);
            }
        }

        private String digest(byte[] nonce, String created) throws Exception {
            MessageDigest sha1 = MessageDigest.getInstance("SHA-1");
            sha1.update(nonce);
            sha1.update(created.getBytes(StandardCharsets.UTF_8));
            sha1.update(call.get("secret").getBytes(StandardCharsets.UTF_8));
            return Base64.getEncoder().encodeToString(sha1.digest());
        }

        @Override
        public boolean handleFault(SOAPMessageContext context) {
            return true;
        }

        @Override
        public void close(MessageContext context) {
        }

        @Override
        public Set<QName> getHeaders() {
            return Collections.emptySet();
        }
    }
}
