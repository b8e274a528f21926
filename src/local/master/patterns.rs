//! Regular expressions of offer constraints: RE2's in Mesos, here those of the `regex` crate, which are near to them.
//!
//! Source: `createRE2`, `src/master/allocator/mesos/offer_constraints_filter.cpp` of Apache Mesos 1.11.0.

use std::iter::Peekable;
use std::str::CharIndices;

use regex::Regex;
use regex_syntax::ast::{Error, ErrorKind, parse::Parser};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Largest program (`--offer_constraints_re2_max_program_size`).
const MAX_PROGRAM_SIZE: usize = 100;

/// Instructions of RE2 around every program.
const FRAME: usize = 4;

/// Most repetitions that RE2 takes.
const MAX_REPETITIONS: u32 = 1000;

/// A checked pattern.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Compiles `pattern`, with RE2's words if that does not go.
    pub(super) fn of(pattern: &str) -> Result<Self, String> {
        let failed =
            |why: String| format!("Failed to construct regex from pattern '{pattern}': {why}");
        let translated = Translation::of(pattern).map_err(failed)?;
        let parsed = Parser::new().parse(&translated);
        parsed.map_err(|error| failed(reason(&error, pattern)))?;
        let hir = regex_syntax::parse(&translated);
        let size = FRAME + program_size(&hir.map_err(|error| failed(error.to_string()))?);
        if size > MAX_PROGRAM_SIZE {
            return Err(format!(
                "Regex '{pattern}' is too complex: program size of {size} is larger than maximum of {MAX_PROGRAM_SIZE} allowed"
            ));
        }
        let whole = Regex::new(&format!("^(?:{translated})$"));
        whole.map(Self).map_err(|error| failed(error.to_string()))
    }

    /// Whether the whole of `text` is matched.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// How RE2 says what is wrong.
fn reason(error: &Error, pattern: &str) -> String {
    let text = error.pattern();
    let span = &text[error.span().start.offset..error.span().end.offset];
    let from = &text[error.span().start.offset..];
    match error.kind() {
        ErrorKind::GroupUnclosed => format!("missing ): {pattern}"),
        ErrorKind::GroupUnopened => format!("unexpected ): {pattern}"),
        ErrorKind::ClassUnclosed => format!("missing ]: {from}"),
        ErrorKind::RepetitionMissing => {
            let operator: String = from.chars().take(1).collect();
            format!("no argument for repetition operator: {operator}")
        }
        ErrorKind::ClassRangeInvalid | ErrorKind::UnicodeClassInvalid => {
            format!("invalid character class range: {span}")
        }
        ErrorKind::RepetitionCountInvalid => format!("invalid repetition size: {span}"),
        ErrorKind::UnsupportedLookAround => format!("invalid perl operator: {span}"),
        ErrorKind::FlagUnrecognized => format!("invalid perl operator: (?{span}"),
        ErrorKind::EscapeUnexpectedEof => "trailing \\".to_owned(),
        ErrorKind::GroupNameEmpty
        | ErrorKind::GroupNameInvalid
        | ErrorKind::GroupNameDuplicate { .. }
        | ErrorKind::GroupNameUnexpectedEof => format!("invalid named capture group: {pattern}"),
        _ => format!("invalid escape sequence: {span}"),
    }
}

/// Writes in the syntax of `regex` what RE2 reads otherwise: classes of ASCII, brackets and operators within classes,
/// braces that repeat nothing.
struct Translation<'a> {
    pattern: &'a str,
    rest: Peekable<CharIndices<'a>>,
    translated: String,
    /// Where the repetition began that has just ended.
    repetition: Option<usize>,
}

impl<'a> Translation<'a> {
    fn of(pattern: &'a str) -> Result<String, String> {
        let mut translation = Self {
            pattern,
            rest: pattern.char_indices().peekable(),
            translated: String::with_capacity(pattern.len()),
            repetition: None,
        };
        while let Some((at, c)) = translation.rest.next() {
            let before = translation.repetition.take();
            match c {
                '\\' => translation.escape(),
                '[' => translation.class(),
                '*' | '+' | '?' => translation.repeat(at, c, before)?,
                '{' => translation.count(at, before)?,
                '(' => translation.group(at)?,
                _ => translation.translated.push(c),
            }
        }
        Ok(translation.translated)
    }

    fn escape(&mut self) {
        match self.rest.next() {
            None => self.translated.push('\\'),
            Some((_, c)) => match ascii_class(c) {
                Some(class) => self.translated.push_str(class),
                None => self.translated.extend(['\\', c]),
            },
        }
    }

    fn class(&mut self) {
        self.translated.push('[');
        let mut is_first = true;
        if self.rest.next_if(|(_, c)| *c == '^').is_some() {
            self.translated.push('^');
        }
        while let Some((at, c)) = self.rest.next() {
            match c {
                ']' if !is_first => {
                    self.translated.push(']');
                    return;
                }
                '\\' => self.escape(),
                '[' if self.pattern[at..].starts_with("[:") => self.translated.push('['),
                ']' if self.translated.ends_with(':') => self.translated.push(']'),
                '[' | ']' | '&' | '~' => self.translated.extend(['\\', c]),
                _ => self.translated.push(c),
            }
            is_first = false;
        }
    }

    fn repeat(&mut self, at: usize, operator: char, before: Option<usize>) -> Result<(), String> {
        self.translated.push(operator);
        let mut end = at + 1;
        if self.rest.next_if(|(_, c)| *c == '?').is_some() {
            self.translated.push('?');
            end += 1;
        }
        self.repeated(at, end, before)
    }

    /// RE2 repeats no repetition.
    fn repeated(&mut self, at: usize, end: usize, before: Option<usize>) -> Result<(), String> {
        self.repetition = Some(at);
        match before {
            Some(before) => Err(format!(
                "bad repetition operator: {}",
                &self.pattern[before..end]
            )),
            None => Ok(()),
        }
    }

    fn count(&mut self, at: usize, before: Option<usize>) -> Result<(), String> {
        let inner = self.pattern[at + 1..].split_once('}');
        let Some((bounds, _)) = inner.filter(|(inner, _)| is_count(inner)) else {
            self.translated.push_str("\\{");
            return Ok(());
        };
        let end = at + bounds.len() + 2;
        let mut numbers = bounds.split(',').filter(|number| !number.is_empty());
        if numbers.any(|number| {
            number
                .parse()
                .map_or(true, |most: u32| most > MAX_REPETITIONS)
        }) {
            let count = &self.pattern[at..end];
            return Err(format!("invalid repetition size: {count}"));
        }
        while self.rest.next_if(|(next, _)| *next < end).is_some() {}
        self.translated.push_str(&self.pattern[at..end]);
        self.repeated(at, end, before)
    }

    fn group(&mut self, at: usize) -> Result<(), String> {
        self.translated.push('(');
        if self.rest.next_if(|(_, c)| *c == '?').is_some() {
            self.translated.push('?');
            let operator = self.pattern[at..].get(..3).unwrap_or_default();
            if operator.ends_with(['<', '#', '=', '!']) {
                return Err(format!("invalid perl operator: {operator}"));
            }
        }
        Ok(())
    }
}

/// What is in the braces of a repetition.
fn is_count(inner: &str) -> bool {
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

fn ascii_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

/// How many instructions RE2 makes of it, as far as that can be told from outside.
fn program_size(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(class) => class_size(class),
        HirKind::Look(_) => 1,
        HirKind::Repetition(repetition) => {
            let size = program_size(&repetition.sub);
            let least = repetition.min as usize;
            match repetition.max {
                Some(most) => {
                    let optional = (most as usize).saturating_sub(least);
                    least * size + optional * (size + 1)
                }
                None => least.max(1) * size + 2,
            }
        }
        HirKind::Capture(capture) => 2 + program_size(&capture.sub),
        HirKind::Concat(parts) => {
            let mut parts: Vec<&Hir> = parts.iter().collect();
            parts.dedup_by(|one, other| one == other && is_star(one));
            parts.into_iter().map(program_size).sum()
        }
        HirKind::Alternation(parts) => parts.iter().map(program_size).sum(),
    }
}

fn is_star(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Repetition(own) if own.min == 0 && own.max.is_none())
}

fn class_size(class: &Class) -> usize {
    /// What is made of all characters beyond ASCII.
    const BEYOND_ASCII: usize = 6;
    let Class::Unicode(class) = class else {
        return 1;
    };
    if let [upper, lower] = class.ranges()
        && upper.start() == upper.end()
        && lower.start() == lower.end()
        && upper.start().eq_ignore_ascii_case(&lower.start())
    {
        return 1;
    }
    let sizes = class.ranges().iter().map(|range| {
        let within = usize::from(range.start().is_ascii());
        let beyond = match (range.start().is_ascii(), range.end()) {
            (_, end) if end.is_ascii() => 0,
            (true, char::MAX) => BEYOND_ASCII,
            (_, end) => end.len_utf8(),
        };
        within + beyond
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(pattern: &str) -> String {
        let prefix = format!("Failed to construct regex from pattern '{pattern}': ");
        let refused = Pattern::of(pattern).unwrap_err();
        refused.strip_prefix(&prefix).unwrap_or(&refused).to_owned()
    }

    fn is_match(pattern: &str, text: &str) -> bool {
        Pattern::of(pattern).unwrap().matches(text)
    }

    #[test]
    fn the_whole_text_is_matched() {
        assert!(is_match("a|b+", "bb"));
        assert!(!is_match("a", "ab"));
        assert!(is_match(r"rack-\d{2,3}", "rack-12"));
        assert!(!is_match(r"\d", "٣"));
        assert!(is_match("[[a]]", "[]"));
        assert!(is_match("[a&&b]", "&"));
        assert!(is_match("a{1,", "a{1,"));
        assert!(is_match("[[:alpha:]]+", "ab"));
    }

    /// The texts of a real master.
    #[test]
    fn mistakes_are_told_in_the_words_of_re2() {
        for (pattern, text) in [
            ("(a", "missing ): (a"),
            ("a)", "unexpected ): a)"),
            ("[a", "missing ]: [a"),
            ("*a", "no argument for repetition operator: *"),
            ("a**", "bad repetition operator: **"),
            (r"\y", r"invalid escape sequence: \y"),
            ("[z-a]", "invalid character class range: z-a"),
            ("a{2,1}", "invalid repetition size: {2,1}"),
            ("a{1001}", "invalid repetition size: {1001}"),
            ("(?=a)", "invalid perl operator: (?="),
            ("(?<x>a)", "invalid perl operator: (?<"),
            ("(?z)", "invalid perl operator: (?z"),
            ("(?P<n", "invalid named capture group: (?P<n"),
            (r"\1", r"invalid escape sequence: \1"),
            ("\\", "trailing \\"),
        ] {
            assert_eq!(why(pattern), text);
        }
    }

    /// Most repetitions of a piece that a real master takes.
    #[test]
    fn programs_are_as_large_as_those_of_re2() {
        for (piece, most) in [
            ("a", 96),
            ("[ab]", 96),
            ("(a)", 32),
            ("a?", 48),
            (".", 12),
            ("é", 48),
            ("(?:ab|cd)", 24),
            ("(ab)+", 16),
            (r"\d", 96),
            ("[^a]", 12),
            ("(a|b|c)", 32),
        ] {
            assert!(Pattern::of(&piece.repeat(most)).is_ok(), "{piece}");
            let refused = why(&piece.repeat(most + 1));
            assert!(
                refused.contains("is too complex: program size of 1"),
                "{refused}"
            );
        }
        assert!(Pattern::of("x{96}").is_ok());
        assert!(why("x{97}").contains("program size of 101 is larger than maximum of 100"));
        assert!(Pattern::of(&".*".repeat(150)).is_ok());
    }
}
