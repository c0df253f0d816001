"""`season`: a season in miniature, played through the gateway's real interfaces.

cast          who takes part, and what befalls each
players       the parties as clients of the gateway: HTTP for centers and departments, SOAP for systems
offices       the departments and the committee over the ministry's broker instead
stage, pace   the season under way; how its days pass and everything comes to rest
play          the order of acts
readiness, contracts, activation, ceilings      part one: licensees are made ready
applications, movements, happenings, conduct    part two: pilgrims are served, month by month
rows          the 41 flows of the network, each found in what the gateway says that it carried
invariants    what must hold at the end, whatever happened
proof         both of them asked for; `telling` shows it, `page` writes docs/season.md
run           everything started and stopped
"""
