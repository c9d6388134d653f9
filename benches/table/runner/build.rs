//! The other programs of this package, which `cargo run` does not build.

use std::path::{Path, PathBuf};
use std::process::Command;
use table::Result;

/// Builds them as this one was built, if cargo has run it; otherwise they are expected beside it.
pub(crate) fn build() -> Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Ok(());
    };
    let folder = folder()?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder.parent().ok_or("no target folder")?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--bins",
        "--profile",
        profile,
    ]);
    build.arg("--manifest-path").arg(manifest);
    build.arg("--target-dir").arg(target);
    // What cargo says to a program that it runs; dependencies that look at it would be built anew.
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if told {
            build.env_remove(name);
        }
    }
    match build.status()?.success() {
        true => Ok(()),
        false => Err("the servers could not be built".into()),
    }
}

/// Where a program of this package lies.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let program = folder()?.join(name);
    match program.exists() {
        true => Ok(program),
        false => Err(format!("{} is not there: cargo builds it", program.display()).into()),
    }
}

fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().ok_or("a program in no folder")?.to_owned())
}
