//! What a runbook can ask for: one file per primitive, one line each in the list below.
//!
//! The reference page, the editor's definitions, the checker, the plan and the laws all read this list; there is no
//! second one. [`contract`] says what a primitive must keep.

pub mod contract;

/// Names every stock primitive once: declares its module and registers it. It only lists; what a primitive is
/// stands in [`contract`].
macro_rules! stock {
    ($($kind:ident $file:ident :: $primitive:ident,)*) => {
        $(mod $file;)*

        impl contract::Catalogue {
            /// Every primitive that ships with uplift.
            #[must_use]
            pub fn stock() -> Self {
                Self::default()$(.$kind::<$file::$primitive>())*
            }
        }
    };
}

stock! {}
