"""What the gateway is made of, and whether any of it is known to be vulnerable.

`lock` reads what is locked, `sbom` lists it as CycloneDX, `advisories` decides whether a version is affected,
`audit` tells and fails, `renew` takes a newer snapshot. Tools for developers: nothing here runs in a gateway.
"""
