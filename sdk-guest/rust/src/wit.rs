//! The generated half: the one `generate!` of the SDK. Everything that a connector sees of it is listed in `lib.rs`.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "generated code; which of these it trips over changes with the generator"
)]

pub use bindings::*;

pub mod bindings {
    //! Public by name only for what `export!` expands to; the path to it is hidden.
    wit_bindgen::generate!({
        world: "connector",
        path: "../../wit/0.1",
        pub_export_macro: true,
        export_macro_name: "export_connector",
        additional_derives: [PartialEq],
        generate_unused_types: true,
    });
}
