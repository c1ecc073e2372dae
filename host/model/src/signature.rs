//! Webhook signature recipes that the host runs before any guest code.
