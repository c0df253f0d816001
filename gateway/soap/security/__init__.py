"""WS-Security: what protects a partner's messages beside TLS (OASIS SOAP Message Security 1.1.1).

    policy       what a partner was agreed to get and to give: nothing, a UsernameToken, signatures
    signing      a signed envelope, written
    verifying    a signed envelope, proven or refused
    encryption   the Body for the partner's eyes only
    keys         private keys and pinned certificates, read once
    loading      from the configuration to these objects; `demo_keys` makes those of demonstrations
    parties      callers of our own services who sign

No library resolves an id, chooses a key or an algorithm here: the digests are taken over the very elements
that are read afterwards, with the keys and algorithms that stand in our own lists.
"""
