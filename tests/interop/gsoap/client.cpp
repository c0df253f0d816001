// Calls as gSOAP makes them, through classes that wsdl2h and soapcpp2 made from our WSDLs, with the security
// block of its own wsse plugin. A list of calls in (stdin: lines of name, tab, value; an empty line ends a
// call), a list of outcomes out (JSON).
#include "soapH.h"
#include "MovementsSoap11.nsmap"
#include "wsseapi.h"

#include <iostream>
#include <map>
#include <string>
#include <vector>

typedef std::map<std::string, std::string> Call;

static std::string quoted(const std::string &text) {
    std::string written = "\"";
    for (char each : text) {
        if (each == '"' || each == '\\') written += '\\';
        written += each;
    }
    return written + '"';
}

static std::string text_of(const std::string &element) {
    const size_t start = element.find('>') + 1;
    return element.substr(start, element.find('<', start) - start);
}

static std::string written(const gw__Receipt &receipt) {
    if (receipt.accepted) {
        return "{\"accepted\":{\"message_id\":" + quoted(receipt.accepted->message_USCOREid)
            + ",\"received_at\":" + quoted(receipt.accepted->received_USCOREat)
            + ",\"duplicate\":" + (receipt.accepted->duplicate ? "true" : "false") + "}}";
    }
    const typ__ServiceError *error = receipt.service_USCOREerror;
    const char *type = error->error_USCOREtype == typ__ErrorType__Business ? "Business" : "Technical";
    return "{\"service_error\":{\"code\":" + quoted(error->code) + ",\"error_type\":" + quoted(type)
        + ",\"text_ar\":" + quoted(error->text_USCOREar) + "}}";
}

static void fill(struct soap *soap, Call &call, mov__Movement &movement) {
    movement.event_USCOREid = call["values.event_id"];
    movement.visa_USCOREnumber = call["values.visa_number"];
    movement.border_USCOREnumber = soap_new_std__string(soap);
    *movement.border_USCOREnumber = call["values.border_number"];
    movement.at = call["values.at"];
    movement.port = call["values.port"];
    movement.carrier = soap_new_std__string(soap);
    *movement.carrier = call["values.carrier"];
    movement.flight = soap_new_std__string(soap);
    *movement.flight = call["values.flight"];
}

static void fill(struct soap *soap, Call &call, _cap__PublishMissionCapacity &capacity) {
    capacity.mission_USCOREid = call["values.mission_id"];
    capacity.version = std::stoi(call["values.version"]);
    capacity.window = soap_new_cap__Window(soap);
    capacity.window->opens = call["values.window.opens"];
    capacity.window->closes = call["values.window.closes"];
    capacity.ceiling = std::stoi(call["values.ceiling"]);
}

static void fill(struct soap *, Call &call, _att__NotifyAttestation &attestation) {
    attestation.contract_USCOREid = call["values.contract_id"];
    attestation.version = std::stoi(call["values.version"]);
    attestation.decision =
        call["values.decision"] == "ATTESTED" ? att__Decision__ATTESTED : att__Decision__REJECTED;
    attestation.decided_USCOREat = call["values.decided_at"];
    attestation.reference = call["values.reference"];
}

// wsdl2h numbers the ports in the order in which it was given the WSDLs: attestations, capacity, movements.
template <class Request>
static int sent(struct soap *soap, Call &call, gw__Receipt &receipt,
                int (*call_11)(struct soap *, const char *, const char *, Request *, gw__Receipt &),
                int (*call_12)(struct soap *, const char *, const char *, Request *, gw__Receipt &)) {
    Request request;
    request.soap_default(soap);
    fill(soap, call, request);
    return (call["soap"] == "1.2" ? call_12 : call_11)(soap, call["url"].c_str(), nullptr, &request, receipt);
}

static int dispatched(struct soap *soap, Call &call, gw__Receipt &receipt) {
    const std::string &operation = call["operation"];
    if (operation == "NotifyArrival")
        return sent(soap, call, receipt, soap_call___port5__NotifyArrival, soap_call___port6__NotifyArrival);
    if (operation == "NotifyDeparture")
        return sent(soap, call, receipt, soap_call___port5__NotifyDeparture, soap_call___port6__NotifyDeparture);
    if (operation == "NotifyAttestation")
        return sent(soap, call, receipt, soap_call___port__NotifyAttestation, soap_call___port2__NotifyAttestation);
    return sent(
        soap, call, receipt, soap_call___port3__PublishMissionCapacity, soap_call___port4__PublishMissionCapacity);
}

// The generated table is that of SOAP 1.2; its first two names tell which version is spoken.
static std::vector<Namespace> of_soap_11() {
    std::vector<Namespace> table;
    const Namespace *each = namespaces;
    do table.push_back(*each); while ((each++)->id);
    table[0].ns = "http://schemas.xmlsoap.org/soap/envelope/";
    table[1].ns = "http://schemas.xmlsoap.org/soap/encoding/";
    return table;
}

static std::vector<Namespace> namespaces_11 = of_soap_11();

static std::string outcome(Call &call) {
    struct soap *soap = soap_new1(SOAP_C_UTFSTRING | SOAP_XML_INDENT);
    soap_set_namespaces(soap, call["soap"] == "1.2" ? namespaces : namespaces_11.data());
    soap_register_plugin(soap, soap_wsse);
    const char *user = call["username"].c_str(), *secret = call["secret"].c_str();
    if (call["password"] == "digest")
        soap_wsse_add_UsernameTokenDigest(soap, nullptr, user, secret);
    else
        soap_wsse_add_UsernameTokenText(soap, nullptr, user, secret);
    gw__Receipt receipt;
    receipt.soap_default(soap);
    std::string result;
    if (dispatched(soap, call, receipt) == SOAP_OK) {
        result = written(receipt);
    } else {
        const char *reason = soap_fault_string(soap), *detail = soap_fault_detail(soap);
        result = "{\"fault\":{\"text\":" + quoted(reason ? reason : "")
            + ",\"code\":" + quoted(text_of(detail ? detail : "")) + "}}";
    }
    soap_destroy(soap);
    soap_end(soap);
    soap_free(soap);
    return result;
}

int main() {
    Call call;
    std::string line, separator;
    std::cout << "[";
    while (std::getline(std::cin, line)) {
        if (!line.empty()) {
            const size_t tab = line.find('\t');
            call[line.substr(0, tab)] = line.substr(tab + 1);
            continue;
        }
        std::cout << separator << outcome(call);
        separator = ",";
        call.clear();
    }
    std::cout << "]\n";
}
