//! Names as the catalog declares them.

/// Whether `name` is the declared name, or one that the kernel completes.
pub(crate) fn is_called(declared: &str, name: &str) -> bool {
    match (declared.split_once('{'), declared.split_once('}')) {
        (Some((head, _)), Some((_, tail))) => {
            name.len() > head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
        _ => declared == name,
    }
}
