//! How deep a policy text can nest, found before anything reads it.
//!
//! Cedar walks conditions by recursion, and not every walk of it watches the stack: a long chain
//! of `||` in an activated bundle would end the server. So the operators of each policy are
//! counted first, which no nesting can exceed, and compiling gets a stack that suffices for them.

/// The place of the first operator beyond the bound, as a byte of the text.
pub(crate) fn too_deep(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().peekable();
    let mut operators = 0_usize;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b';' => operators = 0,
            b'"' => {
                while let Some((_, inner)) = bytes.next() {
                    match inner {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'/' if matches!(bytes.peek(), Some((_, b'/'))) => {
                // A comment ends with its line; a carriage return alone may end it for Cedar.
                while bytes
                    .next()
                    .is_some_and(|(_, inner)| inner != b'\n' && inner != b'\r')
                {}
            }
            b'(' | b'[' | b'{' | b'.' | b'!' | b'+' | b'-' | b'*' | b'|' | b'&' | b'?' => {
                operators = operators.saturating_add(1);
            }
            b'i' if text
                .as_bytes()
                .get(at..)
                .is_some_and(|rest| rest.starts_with(b"if")) =>
            {
                operators = operators.saturating_add(1);
            }
            _ => {}
        }
        if operators > OPERATORS_MAX {
            return Some(at);
        }
    }
    None
}

/// Runs `compile` on a stack that suffices for the deepest policy that is let through.
pub(crate) fn on_deep_stack<T>(compile: impl FnOnce() -> T) -> T {
    stacker::grow(STACK_BYTES, compile)
}

/// The most operators of one policy; `&&` and `||` count two.
pub(crate) const OPERATORS_MAX: usize = 512;
/// Measured at 20 KiB a level unoptimised; twice that for the most operators, doubled again.
const STACK_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_count_outside_texts_and_comments_and_per_policy() {
        let many = "&".repeat(OPERATORS_MAX);
        assert_eq!(too_deep(&many), None);
        assert_eq!(too_deep(&format!("{many};{many}")), None);
        assert_eq!(too_deep(&format!("{many}\"&\\\"&\"// &\n")), None);
        assert_eq!(too_deep(&format!("{many}\"a\" &")), Some(OPERATORS_MAX + 4));
        assert_eq!(too_deep(&format!("{many}// \n&")), Some(OPERATORS_MAX + 4));
        assert_eq!(too_deep(&format!("{many} if")), Some(OPERATORS_MAX + 1));
    }
}
