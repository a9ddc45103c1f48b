//! The UTF-8 grammar: any text in double quotes with Go's escapes, or unquoted text without
//! special characters, for names and values alike.

use std::fmt::{self, Write};
use std::iter::Peekable;
use std::str::{CharIndices, Chars};
use std::vec;

use super::{MatchOp, Matcher, MatcherError, MatcherProblem, Matchers};

/// Reads all of `text`.
pub(super) fn parse(text: &str) -> Result<Matchers, MatcherError> {
    let tokens = Lexer::new(text).collect::<Result<Vec<_>, _>>()?;
    let mut parser = Parser {
        tokens: tokens.into_iter().peekable(),
        end: text.chars().count() + 1,
    };
    parser.matchers()
}

/// Characters that need quotes.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

/// Writes `text` so that [`parse`] reads it back.
pub(super) fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

struct Parser<'a> {
    tokens: Peekable<vec::IntoIter<Token<'a>>>,
    /// The column behind the text.
    end: usize,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    column: usize,
    kind: Kind<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Open,
    Close,
    Comma,
    Op(MatchOp),
    /// With its quotes.
    Quoted(&'a str),
    Unquoted(&'a str),
    /// A special character that means nothing here.
    Stray(char),
    End,
}

impl<'a> Parser<'a> {
    fn matchers(&mut self) -> Result<Matchers, MatcherError> {
        let mut found = Vec::new();
        let opened = self.take_if(Kind::Open);
        while !matches!(self.peek().kind, Kind::Close | Kind::End) {
            found.push(self.matcher()?);
            if !self.take_if(Kind::Comma) {
                break;
            }
        }
        let last = self.take();
        match (opened, last.kind) {
            (true, Kind::Close) | (false, Kind::End) => {}
            (false, Kind::Close) => return Err(last.error(MatcherProblem::NotOpened)),
            (true, Kind::End) => return Err(last.error(MatcherProblem::NotClosed)),
            _ => return Err(last.error(MatcherProblem::NoComma(last.shown()))),
        }
        let rest = self.take();
        if rest.kind != Kind::End {
            return Err(rest.error(MatcherProblem::NoEnd(rest.shown())));
        }
        Ok(found.into_iter().collect())
    }

    fn matcher(&mut self) -> Result<Matcher, MatcherError> {
        let (start, name) = self.text(MatcherProblem::NoName)?;
        let token = self.take();
        let Kind::Op(op) = token.kind else {
            return Err(token.error(MatcherProblem::NoOperator(token.shown())));
        };
        let (at, value) = self.text(MatcherProblem::NoValue)?;
        if name.is_empty() {
            return Err(start.error(MatcherProblem::EmptyName));
        }
        Matcher::new(&name, op, &value).map_err(|problem| at.error(problem))
    }

    fn text(
        &mut self,
        otherwise: fn(String) -> MatcherProblem,
    ) -> Result<(Token<'a>, String), MatcherError> {
        let token = self.take();
        let text = match token.kind {
            Kind::Unquoted(text) => Ok(text.to_owned()),
            Kind::Quoted(text) => {
                unquote(text).ok_or_else(|| MatcherProblem::BadQuoted(text.to_owned()))
            }
            Kind::Open | Kind::Close | Kind::Comma | Kind::Op(_) | Kind::Stray(_) | Kind::End => {
                Err(otherwise(token.shown()))
            }
        };
        text.map(|text| (token, text))
            .map_err(|problem| token.error(problem))
    }

    fn peek(&mut self) -> Token<'a> {
        let end = Token {
            column: self.end,
            kind: Kind::End,
        };
        self.tokens.peek().copied().unwrap_or(end)
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.tokens.next();
        token
    }

    fn take_if(&mut self, kind: Kind<'_>) -> bool {
        self.tokens.next_if(|t| t.kind == kind).is_some()
    }
}

impl Token<'_> {
    fn error(self, problem: MatcherProblem) -> MatcherError {
        MatcherError {
            column: self.column,
            problem,
        }
    }

    /// As it is named in an error.
    fn shown(self) -> String {
        match self.kind {
            Kind::Open => "{".to_owned(),
            Kind::Close => "}".to_owned(),
            Kind::Comma => "a comma".to_owned(),
            Kind::Op(op) => op.as_str().to_owned(),
            Kind::Quoted(text) | Kind::Unquoted(text) => text.to_owned(),
            Kind::Stray(c) => c.to_string(),
            Kind::End => "the end".to_owned(),
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    column: usize,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            rest: text.char_indices().peekable(),
            column: 0,
        }
    }

    fn bump(&mut self) -> Option<(usize, char)> {
        self.column += 1;
        self.rest.next()
    }

    fn bump_if(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let hit = self.rest.peek().is_some_and(|&(_, c)| wanted(c));
        if hit {
            self.bump();
        }
        hit
    }

    /// The text from `start` to where the lexer stands.
    fn since(&mut self, start: usize) -> &'a str {
        let end = self.rest.peek().map_or(self.text.len(), |&(at, _)| at);
        &self.text[start..end]
    }

    fn kind(&mut self, start: usize, first: char) -> Result<Kind<'a>, MatcherProblem> {
        Ok(match first {
            '{' => Kind::Open,
            '}' => Kind::Close,
            ',' => Kind::Comma,
            '=' if self.bump_if(|c| c == '~') => Kind::Op(MatchOp::Regexp),
            '=' => Kind::Op(MatchOp::Equal),
            '!' if self.bump_if(|c| c == '=') => Kind::Op(MatchOp::NotEqual),
            '!' if self.bump_if(|c| c == '~') => Kind::Op(MatchOp::NotRegexp),
            '"' => return self.quoted(start),
            c if is_reserved(c) => Kind::Stray(c),
            _ => {
                while self.bump_if(|c| !is_reserved(c)) {}
                Kind::Unquoted(self.since(start))
            }
        })
    }

    /// After an opening quote at `start`.
    fn quoted(&mut self, start: usize) -> Result<Kind<'a>, MatcherProblem> {
        let mut escaped = false;
        while let Some((_, c)) = self.bump() {
            if c == '"' && !escaped {
                return Ok(Kind::Quoted(self.since(start)));
            }
            escaped = c == '\\' && !escaped;
        }
        Err(MatcherProblem::Unterminated)
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Result<Token<'a>, MatcherError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.bump_if(char::is_whitespace) {}
        let (start, first) = self.bump()?;
        let column = self.column;
        let kind = self.kind(start, first);
        Some(
            kind.map(|kind| Token { column, kind })
                .map_err(|problem| MatcherError { column, problem }),
        )
    }
}

/// Go's rules for a double-quoted string; `None` if it breaks them or is no UTF-8.
fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '\n' => return None,
            '\\' => unescape(&mut rest, &mut bytes)?,
            c => push(&mut bytes, c),
        }
    }
    String::from_utf8(bytes).ok()
}

/// After a backslash: `\n` and its kin, `\x41`, `\101`, `\u4e2d`, `\U0001f4a5`.
fn unescape(rest: &mut Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    match rest.next()? {
        'a' => bytes.push(0x07),
        'b' => bytes.push(0x08),
        'f' => bytes.push(0x0c),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(0x0b),
        c @ ('"' | '\\') => push(bytes, c),
        'x' => bytes.push(u8::try_from(number(rest, 2, 16)?).ok()?),
        'u' => push(bytes, char::from_u32(number(rest, 4, 16)?)?),
        'U' => push(bytes, char::from_u32(number(rest, 8, 16)?)?),
        c => {
            let octal = c.to_digit(8)? * 64 + number(rest, 2, 8)?;
            bytes.push(u8::try_from(octal).ok()?);
        }
    }
    Some(())
}

/// A number of exactly so many digits.
fn number(rest: &mut Chars<'_>, digits: usize, radix: u32) -> Option<u32> {
    (0..digits).try_fold(0_u32, |sum, _| {
        sum.checked_mul(radix)?
            .checked_add(rest.next()?.to_digit(radix)?)
    })
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
