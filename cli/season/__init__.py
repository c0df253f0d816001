"""`season`: a season in miniature, played through the gateway's real interfaces.

cast        who takes part, and what befalls each
players     the parties, as clients of the gateway: HTTP for centers and departments, SOAP for systems
play        both parts of the work cycle, month by month, on an accelerated business clock
rows        the 41 flows of the network, each found in what the gateway says that it carried
invariants  what must hold at the end, whatever happened
"""
