//! Folds request methods: a closed set, or scanners would invent label values.

use http::Method;
use opentelemetry::Value;

/// What is recorded for every method that is not known.
const OTHER: &str = "_OTHER";

/// A method as recorded: a place in the list of known methods, or none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Folded(Option<usize>);

impl Folded {
    /// `known` is compared case-sensitively.
    pub(crate) fn new(method: &Method, known: &[String]) -> Self {
        Self(known.iter().position(|known| known == method.as_str()))
    }

    pub(crate) fn is_other(self) -> bool {
        self.0.is_none()
    }

    /// One for each known method, from 0, and one for all others.
    pub(crate) fn number(self) -> usize {
        self.0.unwrap_or(usize::MAX)
    }

    /// The value of `http.request.method`; `known` is the list that `new` got.
    pub(crate) fn as_str(self, known: &[String]) -> &str {
        self.0.map_or(OTHER, |at| known[at].as_str())
    }

    /// [`as_str`](Self::as_str) as an attribute's value: of the usual ones nothing is copied.
    pub(crate) fn value(self, known: &[String]) -> Value {
        let name = self.as_str(known);
        match [
            OTHER, "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS",
        ]
        .into_iter()
        .find(|usual| *usual == name)
        {
            Some(usual) => usual.into(),
            None => name.to_owned().into(),
        }
    }
}

/// The span's name: `{method} {route}`, without a route `{method}`; `HTTP` for an unknown method.
pub(crate) fn span_name(method: &str, route: Option<&str>) -> String {
    let method = if method == OTHER { "HTTP" } else { method };
    let Some(route) = route else {
        return method.to_owned();
    };
    let mut name = String::with_capacity(method.len() + 1 + route.len());
    name.push_str(method);
    name.push(' ');
    name.push_str(route);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_methods_are_other_and_the_case_counts() {
        let known = ["GET", "QUERY"].map(str::to_owned);
        let fold = |name: &str| {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            Folded::new(&method, &known).as_str(&known)
        };
        assert_eq!(fold("GET"), "GET");
        assert_eq!(fold("QUERY"), "QUERY");
        assert_eq!(fold("get"), OTHER);
        assert_eq!(fold("PROPFIND"), OTHER);
    }

    #[test]
    fn a_span_is_named_by_method_and_route_and_never_by_the_path() {
        assert_eq!(span_name("GET", Some("/users/{id}")), "GET /users/{id}");
        assert_eq!(span_name("GET", None), "GET");
        assert_eq!(span_name(OTHER, Some("/users/{id}")), "HTTP /users/{id}");
        assert_eq!(span_name(OTHER, None), "HTTP");
    }
}
