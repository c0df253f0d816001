<?php
// A partner's system as PHP's own SoapServer runs it: NIC over SOAP 1.1, Foreign Affairs over 1.2.
const TYPES = 'urn:umrah:types:v1';

final class Refusal extends Exception
{
}

final class Partner
{
    private object $header;

    public function __construct(private SoapServer $server)
    {
    }

    public function MessageHeader(object $header): void
    {
        $this->header = $header;
    }

    public function CheckClearance(object $request): array
    {
        $number = $request->person->passport_number;
        $this->answer($number);
        $status = str_ends_with($number, '90') ? 'HIT' : 'CLEAR';
        return ['result' => ['status' => $status, 'reference' => 'NIC-' . $number]];
    }

    public function IssueVisa(object $request): array
    {
        $number = $request->passport->number;
        $this->answer($number);
        if (str_ends_with($number, '97')) {
            return ['service_error' => [
                'error_type' => 'Business',
                'code' => 'MISSION_CAPACITY_EXCEEDED',
                'text_en' => $request->name->given,
                'text_ar' => $request->name_ar->given,
                'source' => 'foreign-affairs',
            ]];
        }
        $arrival = $request->travel->arrival_date;
        $departure = $request->travel->departure_date;
        return ['result' => [
            'request_reference' => $request->request_reference,
            'visa_number' => '6123456789',
            'valid_from' => $arrival,
            'valid_until' => $departure,
            'stay_until' => clone $departure, // the same object twice would be written as a reference
        ]];
    }

    /** Faults on demand; else a header that answers the request's. */
    private function answer(string $number): void
    {
        if (str_ends_with($number, '98')) {
            throw new SoapFault('Server', 'internal error');
        }
        $reply = clone $this->header;
        $reply->correlation_id = $this->header->message_id;
        $reply->sender = $this->header->receiver;
        $reply->receiver = $this->header->sender;
        $this->server->addSoapHeader(new SoapHeader(TYPES, 'MessageHeader', $reply));
    }
}

$version = getenv('SOAP') === '1.2' ? SOAP_1_2 : SOAP_1_1;
$server = new SoapServer(getenv('WSDL'), ['soap_version' => $version, 'cache_wsdl' => WSDL_CACHE_NONE]);
$server->setObject(new Partner($server));
$server->handle();
