//! Patterns of paths, as routers have them.

use crate::options::percent;

/// A pattern of paths: `/chat`, `/chat/{room}`, `/files/{*rest}`.
///
/// A path matches segment by segment, between the slashes: `{name}` takes one segment that is not
/// empty, `{*name}` at the end takes all the rest, which is not empty; everything else stands for
/// itself. Segments are compared and handed out percent-decoded (RFC 3986 §2.1), after they were
/// split; what does not decode to UTF-8 matches nothing. A slash at the end makes another path.
///
/// ```
/// use motorway::handshake::server::RoutePattern;
///
/// let pattern = RoutePattern::parse("/chat/{room}").unwrap();
/// let found = pattern.matches("/chat/the%20lobby").unwrap();
/// assert_eq!(found, [("room".to_owned(), "the lobby".to_owned())]);
/// assert!(pattern.matches("/chat/").is_none() && pattern.matches("/chat/a/b").is_none());
/// assert!(RoutePattern::parse("chat").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern(Vec<Segment>);

/// In the order of preference: what stands for itself goes before what takes anything.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
    Rest(String),
}

impl RoutePattern {
    /// Reads a pattern; `None` if it does not start with a slash, has a brace in the wrong place,
    /// a name that is no identifier of ASCII or that comes twice, a query or a fragment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let segments: Vec<_> = rest.split('/').map(Segment::parse).collect::<Option<_>>()?;
        let (_, before) = segments.split_last()?;
        if before.iter().any(|found| matches!(found, Segment::Rest(_))) {
            return None;
        }
        let mut names: Vec<_> = segments.iter().filter_map(Segment::name).collect();
        names.sort_unstable();
        let is_ambiguous = names.windows(2).any(|pair| pair.first() == pair.last());
        (!is_ambiguous).then_some(Self(segments))
    }

    /// Matches a path without its query; returns the values of the names, in the pattern's order.
    #[must_use]
    pub fn matches(&self, path: &str) -> Option<Vec<(String, String)>> {
        let mut rest = Some(path.strip_prefix('/')?);
        let mut found = Vec::new();
        for segment in &self.0 {
            let here = rest?;
            let (first, after) = match here.split_once('/') {
                Some((first, after)) => (first, Some(after)),
                None => (here, None),
            };
            rest = after;
            match segment {
                Segment::Literal(text) if percent::path(first)? == *text => {}
                Segment::Parameter(name) if !first.is_empty() => {
                    found.push((name.clone(), percent::path(first)?.into_owned()));
                }
                Segment::Rest(name) if !here.is_empty() => {
                    found.push((name.clone(), percent::path(here)?.into_owned()));
                    rest = None;
                }
                _ => return None,
            }
        }
        rest.is_none().then_some(found)
    }

    /// Tells whether every path that matches this one matches the other, and the other way round.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(two)) => one == two,
                (one, two) => one.rank() == two.rank(),
            })
    }

    /// Orders patterns for a search: the first that matches a path is the one that says most about
    /// it, from the left.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "for routers"))]
    pub(crate) fn ranks(&self) -> impl Iterator<Item = u8> {
        self.0.iter().map(Segment::rank)
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        let Some(inside) = text.strip_prefix('{') else {
            let is_literal = !text.contains(['{', '}', '?', '#']);
            return is_literal.then(|| Self::Literal(text.to_owned()));
        };
        let name = inside.strip_suffix('}')?;
        match name.strip_prefix('*') {
            Some(name) => is_identifier(name).then(|| Self::Rest(name.to_owned())),
            None => is_identifier(name).then(|| Self::Parameter(name.to_owned())),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Parameter(_) => 1,
            Self::Rest(_) => 2,
        }
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}
