//! `motorway serve`: the files of a directory, and an echo at `/ws`.

use crate::{Done, arguments, echo};
use motorway::{HttpRequest, HttpResponse, Router, StatusCode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) async fn run(arguments: &arguments::Serve) -> Done {
    let root = site(&arguments.directory)?;
    let mut router = Router::new().route("/ws", echo::factory()?);
    let serving = Arc::new(root);
    router.on_http(move |request| {
        let root = Arc::clone(&serving);
        async move { Some(answer(&root, &request).await) }
    });
    let server = router.listen(&arguments.address).await?;
    let place = echo::place(&server);
    let directory = arguments.directory.display();
    println!("serving {directory} at http://{place}/, echo at ws://{place}/ws; Ctrl-C ends it");
    echo::until_interrupted(server).await
}

/// The directory as the system knows it, without links.
fn site(directory: &Path) -> io::Result<PathBuf> {
    let named = |error: io::Error| {
        let text = format!("{}: {error}", directory.display());
        io::Error::new(error.kind(), text)
    };
    let root = directory.canonicalize().map_err(named)?;
    if !root.is_dir() {
        return Err(named(io::ErrorKind::NotADirectory.into()));
    }
    Ok(root)
}

/// Answers with a file; nobody is told more of others than that there is nothing.
async fn answer(root: &Path, request: &HttpRequest) -> HttpResponse {
    let Some(relative) = relative(request.path()) else {
        return StatusCode::NOT_FOUND.into();
    };
    match find(root, &relative, request.path()).await {
        Ok(Found::File(file, content)) => {
            let kind = kind_of(&file);
            let response = HttpResponse::new(StatusCode::OK).header("content-type", kind);
            let response = response.header("x-content-type-options", "nosniff");
            response.header("cache-control", "no-cache").body(content)
        }
        Ok(Found::Directory) => HttpResponse::redirect(format!("{}/", request.path())),
        Ok(Found::TooLarge) => {
            let text = "The file is larger than 64 MiB.\n";
            HttpResponse::new(StatusCode::FORBIDDEN).body(text)
        }
        Err(_) => StatusCode::NOT_FOUND.into(),
    }
}

enum Found {
    File(PathBuf, Vec<u8>),
    /// One whose path has no slash at the end, against which links in its page would go wrong.
    Directory,
    TooLarge,
}

async fn find(root: &Path, relative: &Path, path: &str) -> io::Result<Found> {
    let outside = || io::Error::from(io::ErrorKind::PermissionDenied);
    let mut file = tokio::fs::canonicalize(root.join(relative)).await?;
    if !file.starts_with(root) {
        return Err(outside());
    }
    if file.is_dir() {
        if !path.ends_with('/') {
            return Ok(Found::Directory);
        }
        file = tokio::fs::canonicalize(file.join("index.html")).await?;
    } else if path.ends_with('/') {
        return Err(io::ErrorKind::NotFound.into());
    }
    // What a link led to may be hidden, or elsewhere.
    let inside = file.strip_prefix(root).map_err(|_| outside())?;
    let mut names = inside.iter().map(|name| name.to_string_lossy());
    if names.any(|name| is_hidden(&name)) {
        return Err(outside());
    }
    let metadata = tokio::fs::metadata(&file).await?;
    // Pipes and devices would be read for ever.
    if !metadata.is_file() {
        return Err(outside());
    }
    if metadata.len() > LARGEST {
        return Ok(Found::TooLarge);
    }
    let content = tokio::fs::read(&file).await?;
    Ok(Found::File(file, content))
}

/// The path of a request below the root; `None` for one that could lead elsewhere.
fn relative(path: &str) -> Option<PathBuf> {
    let inside = path.strip_prefix('/')?;
    let mut relative = PathBuf::new();
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    if inside.is_empty() {
        return (path == "/").then_some(relative);
    }
    for segment in inside.split('/') {
        let name = decode(segment)?;
        // A drive or a stream is named with a colon, on systems that have such.
        let is_apart = name.contains(['/', '\\', '\0']) || (cfg!(windows) && name.contains(':'));
        if name.is_empty() || is_apart || is_hidden(&name) {
            return None;
        }
        relative.push(name);
    }
    Some(relative)
}

/// `.`, `..` and what is hidden on Unix, but for what is there to be found (RFC 8615).
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name != ".well-known"
}

/// Resolves `%20` and the like (RFC 3986 §2.1).
fn decode(segment: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = str::from_utf8(&digits).ok().filter(|_| is_hex)?;
                u8::from_str_radix(digits, 16).ok()?
            }
            octet => octet,
        });
    }
    String::from_utf8(octets).ok()
}

fn kind_of(file: &Path) -> &'static str {
    let extension = file.extension().and_then(|extension| extension.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    let mut kinds = KINDS.iter();
    let kind = kinds.find(|(extensions, _)| extensions.contains(&extension.as_str()));
    kind.map_or("application/octet-stream", |(_, kind)| kind)
}

const KINDS: &[(&[&str], &str)] = &[
    (&["html", "htm"], "text/html; charset=utf-8"),
    (&["css"], "text/css; charset=utf-8"),
    (&["js", "mjs"], "text/javascript; charset=utf-8"),
    (&["txt", "md", "log"], "text/plain; charset=utf-8"),
    (&["csv"], "text/csv; charset=utf-8"),
    (&["json", "map"], "application/json"),
    (&["webmanifest"], "application/manifest+json"),
    (&["xml"], "application/xml"),
    (&["wasm"], "application/wasm"),
    (&["pdf"], "application/pdf"),
    (&["zip"], "application/zip"),
    (&["gz"], "application/gzip"),
    (&["svg"], "image/svg+xml"),
    (&["png"], "image/png"),
    (&["jpg", "jpeg"], "image/jpeg"),
    (&["gif"], "image/gif"),
    (&["webp"], "image/webp"),
    (&["avif"], "image/avif"),
    (&["ico"], "image/x-icon"),
    (&["woff"], "font/woff"),
    (&["woff2"], "font/woff2"),
    (&["ttf"], "font/ttf"),
    (&["otf"], "font/otf"),
    (&["mp3"], "audio/mpeg"),
    (&["ogg"], "audio/ogg"),
    (&["wav"], "audio/wav"),
    (&["mp4"], "video/mp4"),
    (&["webm"], "video/webm"),
];
const LARGEST: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        for (path, expected) in [
            ("/", Some("")),
            ("/a/b.html", Some("a/b.html")),
            ("/a/", Some("a")),
            ("/%61%20b", Some("a b")),
            ("/gr%C3%BCezi", Some("grüezi")),
            ("/a%2Bb", Some("a+b")),
            ("/.well-known/x", Some(".well-known/x")),
            ("/..", None),
            ("/a/../b", None),
            ("/%2e%2e/b", None),
            ("/a%2f..%2fb", None),
            ("/a%5c..%5cb", None),
            ("/a\\b", None),
            ("//a", None),
            ("/a//b", None),
            ("//", None),
            ("/.git/config", None),
            ("/a%00", None),
            ("/%", None),
            ("/%4", None),
            ("/%+1", None),
            ("/%ff", None),
            ("a", None),
        ] {
            assert_eq!(relative(path), expected.map(PathBuf::from), "{path}");
        }
    }

    #[test]
    fn kinds_follow_the_extension() {
        assert_eq!(kind_of(Path::new("a.b.HTML")), "text/html; charset=utf-8");
        assert_eq!(kind_of(Path::new("a/b.svg")), "image/svg+xml");
        assert_eq!(kind_of(Path::new("html")), "application/octet-stream");
    }
}
