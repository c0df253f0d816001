// A partner's system as the npm package `soap` runs it: NIC over SOAP 1.1, Foreign Affairs over 1.2.
'use strict';

const fs = require('fs');
const http = require('http');
const soap = require('soap');

const soap12 = process.env.SOAP === '1.2';

/** The package writes every element in the operation's namespace unless its name has a prefix. */
function typ(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`typ:${name}`, value]));
}

function failed(number) {
  if (!number.endsWith('98')) return;
  throw soap12
    ? { Fault: { Code: { Value: 'soap:Receiver' }, Reason: { Text: 'internal error' }, statusCode: 500 } }
    : { Fault: { faultcode: 'soap:Server', faultstring: 'internal error', statusCode: 500 } };
}

function CheckClearance(request) {
  const number = request.person.passport_number;
  failed(number);
  const status = number.endsWith('90') ? 'HIT' : 'CLEAR';
  return { result: { status, reference: `NIC-${number}` } };
}

function IssueVisa(request) {
  const number = request.passport.number;
  failed(number);
  if (number.endsWith('97')) {
    return {
      service_error: typ({
        error_type: 'Business',
        code: 'MISSION_CAPACITY_EXCEEDED',
        text_en: request.name.given,
        text_ar: request.name_ar.given,
        source: 'foreign-affairs',
      }),
    };
  }
  const { arrival_date: arrival, departure_date: departure } = request.travel;
    return {
    result: {
      request_reference: request.request_reference,
      visa_number: '6123456789',
      valid_from: typ(arrival),
      valid_until: typ(departure),
      stay_until: typ(departure),
    },
  };
}

/** Answers the request's header. Moments come as `Date` and go back as text. */
function replyHeader(_operation, _reply, headers) {
  const asked = headers.MessageHeader;
  const header = {
    ...asked,
    correlation_id: asked.message_id,
    sender: asked.receiver,
    receiver: asked.sender,
    sent_at: new Date().toISOString(),
  };
  return { 'typ:MessageHeader': { attributes: { xmlns: 'urn:umrah:types:v1', 'xmlns:typ': 'urn:umrah:types:v1' }, ...header } };
}

/** The package takes a message's first part for its body, whatever `soap:body parts` says. */
function bodyFirst(wsdl) {
  return wsdl.replace(/(<wsdl:part name="header"[^>]*>)(\s*)(<wsdl:part name="body"[^>]*>)/g, '$3$2$1');
}

const services = { [process.env.SERVICE_NAME]: { [process.env.PORT_NAME]: { CheckClearance, IssueVisa } } };
const server = http.createServer((_request, response) => {
  response.statusCode = 404;
  response.end();
});
server.listen(0, '127.0.0.1', () => {
  const path = process.env.WSDL;
  const xml = bodyFirst(fs.readFileSync(path, 'utf8'));
  const served = soap.listen(server, {
    path: '/',
    services,
    xml,
    uri: path,
    forceSoap12Headers: soap12,
    callback: () => console.log(`http://127.0.0.1:${server.address().port}`),
  });
  served.addSoapHeader(replyHeader);
});
