# Calls as Perl's SOAP::Lite makes them: a list of calls in (stdin, JSON), a list of outcomes out.
# It reads no types from a WSDL of this style: elements are written by name.
use strict;
use warnings;
use Digest::SHA qw(sha1);
use Encode qw(encode_utf8);
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use SOAP::Lite;

my $OASIS = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss';
my $WSSE  = "$OASIS-wssecurity-secext-1.0.xsd";
my $WSU   = "$OASIS-wssecurity-utility-1.0.xsd";

# In the order of the contract: JSON objects have none.
my @ORDER = qw(event_id visa_number border_number at port carrier flight mission_id contract_id version
    window opens closes ceiling decision decided_at reference);

sub elements {
    my ($values) = @_;
    return map { element($_, $values->{$_}) } grep { exists $values->{$_} } @ORDER;
}

sub element {
    my ($name, $value) = @_;
    return SOAP::Data->name($name => \SOAP::Data->value(elements($value))) if ref $value;
    return SOAP::Data->name($name => $value)->type('');
}

sub security {
    my ($call) = @_;
    my $profile = "$OASIS-username-token-profile-1.0#";
    my $nonce   = join '', map { chr int rand 256 } 1 .. 16;
    my $created = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime);
    my $digest  = $call->{password} eq 'digest';
    my $password = $digest ? encode_base64(sha1($nonce . $created . $call->{secret}), '') : $call->{secret};
    my $rest = $digest ? '<w:Nonce>' . encode_base64($nonce, '') . "</w:Nonce><u:Created>$created</u:Created>" : '';
    my $type = $profile . ($digest ? 'PasswordDigest' : 'PasswordText');
    return SOAP::Header->type('xml' => "<w:Security xmlns:w=\"$WSSE\" xmlns:u=\"$WSU\"><w:UsernameToken>"
        . "<w:Username>$call->{username}</w:Username><w:Password Type=\"$type\">$password</w:Password>$rest"
        . '</w:UsernameToken></w:Security>');
}

sub outcome {
    my ($call) = @_;
    my $client = SOAP::Lite->soapversion($call->{soap})->proxy($call->{url})->encodingStyle('')
        ->on_action(sub { "\"$call->{namespace}/$call->{operation}\"" });
    my $method = SOAP::Data->name($call->{operation})->attr({ xmlns => $call->{namespace} });
    my $reply = $client->call($method => security($call), elements($call->{values}));
    if ($reply->fault) {
        my $reason = $call->{soap} eq '1.2' ? $reply->valueof('//Reason/Text') : $reply->faultstring;
        my $code   = $reply->valueof('//detail/code') // $reply->valueof('//Detail/code');
        return { fault => { text => $reason, code => $code } };
    }
    my $result = $reply->valueof('//Body/[1]');
    if (my $accepted = $result->{accepted}) {
        $accepted->{duplicate} = $accepted->{duplicate} eq 'true' ? JSON::PP::true : JSON::PP::false;
    }
    return $result;
}

local $/;
my $calls = decode_json(<STDIN>);
print encode_json([map { outcome($_) } @$calls]);
