//! Grants: the approved set of capabilities, and the effective right as request ∩ ceiling ∩ grant.
