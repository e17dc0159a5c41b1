/// Whether it only tells a terminal in which direction text goes: what stands there is then read in another order.
#[must_use]
pub fn is_turning(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
