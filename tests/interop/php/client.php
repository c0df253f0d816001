<?php
// Calls as PHP's own SoapClient makes them: a list of calls in (stdin, JSON), a list of outcomes out.
const OASIS = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss';
const WSSE = OASIS . '-wssecurity-secext-1.0.xsd';
const WSU = OASIS . '-wssecurity-utility-1.0.xsd';

function security(array $call): SoapHeader
{
    $profile = OASIS . '-username-token-profile-1.0#';
    $nonce = random_bytes(16);
    $created = gmdate('Y-m-d\TH:i:s\Z');
    $digest = $call['password'] === 'digest';
    $password = $digest ? base64_encode(sha1($nonce . $created . $call['secret'], true)) : $call['secret'];
    $type = $profile . ($digest ? 'PasswordDigest' : 'PasswordText');
    $rest = $digest
        ? '<w:Nonce>' . base64_encode($nonce) . "</w:Nonce><u:Created>$created</u:Created>"
        : '';
    $xml = '<w:Security xmlns:w="' . WSSE . '" xmlns:u="' . WSU . '"><w:UsernameToken>'
        . "<w:Username>{$call['username']}</w:Username><w:Password Type=\"$type\">$password</w:Password>$rest"
        . '</w:UsernameToken></w:Security>';
    return new SoapHeader(WSSE, 'Security', new SoapVar($xml, XSD_ANYXML), false);
}

function outcome(array $call): array
{
    $client = new SoapClient($call['wsdl'], [
        'soap_version' => $call['soap'] === '1.2' ? SOAP_1_2 : SOAP_1_1,
        'cache_wsdl' => WSDL_CACHE_NONE,
    ]);
    try {
        return (array) $client->__soapCall($call['operation'], [$call['values']], null, security($call));
    } catch (SoapFault $fault) {
        return ['fault' => ['text' => $fault->getMessage(), 'code' => $fault->detail->code ?? null]];
    }
}

$calls = json_decode(stream_get_contents(STDIN), true);
echo json_encode(array_map('outcome', $calls), JSON_UNESCAPED_UNICODE);
