//! Patterns of paths.

use motorway::handshake::server::RoutePattern;

fn matched(pattern: &str, path: &str) -> Option<String> {
    let found = RoutePattern::parse(pattern).unwrap().matches(path)?;
    let found: Vec<_> = found.iter().map(|(n, v)| format!("{n}={v}")).collect();
    Some(found.join(" "))
}

#[test]
fn paths_match_segment_by_segment() {
    for (pattern, path, expected) in [
        ("/", "/", Some("")),
        ("/", "/a", None),
        ("/", "", None),
        ("/a", "/a", Some("")),
        ("/a", "/A", None),
        ("/a", "/a/", None),
        ("/a/", "/a/", Some("")),
        ("/a", "/%61", Some("")),
        ("/a", "/%6", None),
        ("/a b", "/a%20b", Some("")),
        ("/a", "a", None),
        ("/a/b", "/a%2Fb", None),
        ("/ä", "/%C3%A4", Some("")),
        ("/{x}", "/1", Some("x=1")),
        ("/{x}", "/", None),
        ("/{x}", "/1/2", None),
        ("/{x}", "/%", Some("x=%")),
        ("/{x}", "/a%2Fb", Some("x=a/b")),
        ("/{x}", "/a+b", Some("x=a+b")),
        ("/{x}", "/%FF", None),
        ("/a/{x}/c/{_y2}", "/a/1/c/2", Some("x=1 _y2=2")),
        ("/a/{x}/c/{_y2}", "/a/1/d/2", None),
        ("/a/{x}", "/a//", None),
        ("/a/{*rest}", "/a/b/c%20/", Some("rest=b/c /")),
        ("/a/{*rest}", "/a/", None),
        ("/a/{*rest}", "/a", None),
        ("/{*rest}", "/..", Some("rest=..")),
    ] {
        assert_eq!(
            matched(pattern, path).as_deref(),
            expected,
            "{pattern} {path}"
        );
    }
}

#[test]
fn patterns_that_are_none_are_refused() {
    for pattern in [
        "",
        "a",
        "{x}",
        "/{}",
        "/{*}",
        "/{x",
        "/x}",
        "/a{x}",
        "/{x}a",
        "/{x}/{x}",
        "/{x}/{*x}",
        "/{*x}/a",
        "/{1}",
        "/{a b}",
        "/{ä}",
        "/a?b",
        "/a#b",
    ] {
        assert_eq!(RoutePattern::parse(pattern), None, "{pattern}");
    }
}

#[test]
fn patterns_are_the_same_whatever_their_names() {
    let same = |one, two| {
        let parse = |text| RoutePattern::parse(text).unwrap();
        parse(one).is_same_as(&parse(two))
    };
    assert!(same("/a/{x}", "/a/{y}") && same("/{*x}", "/{*y}") && same("/a", "/a"));
    assert!(!same("/a/{x}", "/b/{x}") && !same("/{x}", "/{*x}") && !same("/a", "/a/"));
    assert!(!same("/{x}", "/x"));
}
