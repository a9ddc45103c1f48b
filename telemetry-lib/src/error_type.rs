//! The value of `error.type` where only the type of an error is known.

use std::any::type_name;

/// The type's name; `_OTHER` for a boxed error, of which it would tell nothing.
pub(crate) fn error_type<E: ?Sized>() -> &'static str {
    let name = type_name::<E>();
    if name.starts_with("alloc::boxed::Box<dyn ") {
        "_OTHER"
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fmt;

    use super::*;

    #[test]
    fn an_error_is_named_by_its_type_and_a_boxed_one_not_at_all() {
        assert_eq!(error_type::<fmt::Error>(), "core::fmt::Error");
        assert_eq!(error_type::<Box<dyn Error>>(), "_OTHER");
        assert_eq!(error_type::<Box<dyn Error + Send + Sync>>(), "_OTHER");
    }
}
