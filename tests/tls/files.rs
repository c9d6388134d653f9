//! What is read from files and memory, and how faults in it are told.

use crate::authority::Authority;
use motorway::{Identity, Roots, ServerTls, TlsError};
use std::fs;
use std::path::PathBuf;

/// A folder for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = format!("motorway-tls-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_may_be_one_or_two() {
    let folder = Folder::new("good");
    let authority = Authority::new();
    let issued = authority.issue("localhost");
    let chain = folder.file("chain.pem", format!("{}{}", issued.chain, authority.pem));
    let key = folder.file("key.pem", &issued.key);
    let both = folder.file("both.pem", format!("{}{}", issued.key, issued.chain));
    ServerTls::from_pem_files(&chain, &key).unwrap();
    Identity::from_pem_files(&both, &both).unwrap();
    Roots::from_pem_file(&chain).unwrap();
    let printed = format!("{:?}", Identity::from_pem_files(&chain, &key).unwrap());
    assert_eq!(printed, "Identity { certificates: 2, .. }");
}

#[test]
fn every_fault_names_its_file() {
    let folder = Folder::new("bad");
    let authority = Authority::new();
    let (issued, other) = (authority.issue("a"), authority.issue("b"));
    let chain = folder.file("chain.pem", &issued.chain);
    let key = folder.file("key.pem", &issued.key);
    let wrong = folder.file("wrong.pem", &other.key);
    let empty = folder.file("empty.pem", "");
    let cut = folder.file("cut.pem", &issued.chain[..100]);
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_certificate = folder.file("no-certificate.pem", certificate);
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let no_key = folder.file("no-key.pem", private);
    let missing = folder.0.join("missing.pem");
    for (chain, key, said) in [
        (&missing, &key, r#"cannot read "…/missing.pem""#),
        (&chain, &missing, r#"cannot read "…/missing.pem""#),
        (&empty, &key, r#""…/empty.pem" has no section CERTIFICATE"#),
        (&key, &key, r#""…/key.pem" has no section CERTIFICATE"#),
        (
            &chain,
            &chain,
            r#""…/chain.pem" has no unencrypted private key"#,
        ),
        (&cut, &key, r#""…/cut.pem" is no valid pem"#),
        (&chain, &cut, r#""…/cut.pem" is no valid pem"#),
        (
            &no_certificate,
            &key,
            r#""…/no-certificate.pem" has a malformed certificate"#,
        ),
        (
            &chain,
            &no_key,
            r#""…/no-key.pem" has a private key that cannot be used"#,
        ),
        (
            &chain,
            &wrong,
            r#"the key of "…/wrong.pem" is not that of the first certificate of "…/chain.pem""#,
        ),
    ] {
        let error = Identity::from_pem_files(chain, key).unwrap_err();
        let place = folder.0.to_string_lossy();
        assert_eq!(error.to_string().replace(&*place, "…"), said);
    }
    for (file, said) in [
        (&missing, r#"cannot read "…/missing.pem""#),
        (&empty, r#""…/empty.pem" has no section CERTIFICATE"#),
        (
            &no_certificate,
            r#""…/no-certificate.pem" has a malformed certificate"#,
        ),
    ] {
        let error = Roots::from_pem_file(file).unwrap_err();
        let place = folder.0.to_string_lossy();
        assert_eq!(error.to_string().replace(&*place, "…"), said);
    }
}

#[test]
fn memory_is_named_as_such() {
    let authority = Authority::new();
    let (issued, other) = (authority.issue("a"), authority.issue("b"));
    let error = Identity::from_pem("", &issued.key).unwrap_err();
    assert_eq!(
        error.to_string(),
        "what is in memory has no section CERTIFICATE"
    );
    let error = Identity::from_pem(&issued.chain, &other.key).unwrap_err();
    assert!(matches!(
        error,
        TlsError::KeyMismatch {
            chain: None,
            key: None,
            ..
        }
    ));
    let none: [Vec<u8>; 0] = [];
    for error in [
        Identity::from_der(none.clone(), [0]).unwrap_err(),
        Identity::from_der([issued.der.clone()], [0]).unwrap_err(),
        Roots::from_der(none).unwrap_err(),
        Roots::from_der([[0]]).unwrap_err(),
        Roots::from_pem("x").unwrap_err(),
    ] {
        assert!(error.to_string().starts_with("what is in memory"));
    }
    Roots::from_der([issued.der]).unwrap();
}

#[test]
fn an_encrypted_key_is_no_key() {
    let text = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let error = Identity::from_pem(Authority::new().issue("a").chain, text).unwrap_err();
    assert!(matches!(error, TlsError::NoKey { .. }), "{error:?}");
}
