//! Addresses of brokers, as errors name them.

/// Leaves out of a URL, or of several separated by commas, what may be secret: user, password, query.
pub(super) fn named(urls: &str) -> String {
    let named = urls.split(',').map(|url| {
        // A password that is not escaped may hold anything, `/` and `@` too.
        let url = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
        let url = url.split_once("://").map_or(url, |(_, rest)| rest);
        url.split(['?', '#']).next().unwrap_or_default().trim()
    });
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        for (urls, expected) in [
            ("nats://localhost:4222", "localhost:4222"),
            ("localhost", "localhost"),
            ("nats://me:s3cret@a:1,nats://me:s3cret@b", "a:1, b"),
            (
                "redis://:s3cret@[::1]:6379/2?protocol=resp3",
                "[::1]:6379/2",
            ),
            ("redis://:s3c/r@t@host/0", "host/0"),
            (
                "redis+unix:///run/redis.sock?db=1&pass=s3cret",
                "/run/redis.sock",
            ),
            ("s3cret@", ""),
        ] {
            assert_eq!(named(urls), expected);
        }
    }
}
