//! The generated half of the contract. Private to this crate: what others may use is written by hand, in the house's own
//! types ([`crate::values`]).
//!
//! Only what waits is asynchronous; the rest runs on the guest's fiber without a future.

wasmtime::component::bindgen!({
    path: "../../wit/0.1",
    world: "connector",
    imports: {
        "sluice:connector/http": async | trappable,
        "sluice:connector/secrets.open": async | trappable,
        "sluice:connector/files.fetch": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "sluice:connector/http.incoming": crate::host::http::Incoming,
        "sluice:connector/secrets.secret": crate::host::secrets::Handle,
    },
});
