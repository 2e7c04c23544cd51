//! Stripe's own judges of our provider's replies and of our requests: its OpenAPI document and `stripe-mock` from their
//! Go module, and its Python library. Kept outside the checkout; a machine without Go or Python goes without them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{run, settings, ui};

const MOCK: &str = "0.203.0";
const LIBRARY: &str = "16.1.0";

/// What the tests are told, by the name of the variable.
pub type Judges = Vec<(&'static str, PathBuf)>;

/// Makes sure of each judge. What cannot be had is named with the tests that say nothing without it.
pub fn judges() -> Judges {
    let all = [
        ("CFA_STRIPE_SPEC", "conformance", document()),
        ("CFA_STRIPE_MOCK", "stripe_mock", mock()),
        ("CFA_STRIPE_PYTHON", "stripe_library", library()),
    ];
    let mut judges = Judges::new();
    for (variable, tests, provided) in all {
        match provided {
            Ok(path) => judges.push((variable, path)),
            Err(error) => ui::warn(&format!("skipped, the tests of {tests}: {error:#}")),
        }
    }
    judges
}

fn document() -> Result<PathBuf> {
    let name = format!("stripe-openapi-{MOCK}.json");
    once(&name, |part| {
        let module = format!("github.com/stripe/stripe-mock@v{MOCK}");
        let mut command = go()?;
        // Outside of any module: the checkout is none of Go's.
        command.current_dir(std::env::temp_dir());
        let told = run::captured(command.args(["mod", "download", "-json", &module]))
            .context("cannot download Stripe's OpenAPI document")?;
        let dir = told.lines().find_map(|line| {
            let value = line.trim().strip_prefix("\"Dir\":")?;
            Some(value.trim().trim_end_matches(',').trim_matches('"'))
        });
        let dir = Path::new(dir.context("go does not say where it keeps the module")?);
        fs::copy(dir.join("embedded/openapi/spec3.json"), part)?;
        Ok(())
    })
}

fn mock() -> Result<PathBuf> {
    let name = format!("stripe-mock-{MOCK}");
    let dir = once(&name, |part| {
        let module = format!("github.com/stripe/stripe-mock@v{MOCK}");
        let mut command = go()?;
        command
            .current_dir(std::env::temp_dir())
            .env("GOBIN", part)
            .args(["install", &module]);
        run::captured(&mut command)
            .map(drop)
            .context("cannot build stripe-mock")
    })?;
    Ok(dir.join("stripe-mock"))
}

fn library() -> Result<PathBuf> {
    python_package("stripe", LIBRARY)
}

/// A package of Python's with all that it needs, in a directory of its own for `PYTHONPATH`.
pub(crate) fn python_package(package: &str, version: &str) -> Result<PathBuf> {
    once(&format!("{package}-python-{version}"), |part| {
        let python = settings::find_program("python3").context("Python is not installed")?;
        let mut command = Command::new(python);
        command
            .current_dir(std::env::temp_dir())
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(part)
            .arg(format!("{package}=={version}"));
        run::captured(&mut command)
            .map(drop)
            .with_context(|| format!("cannot install {package}, a package of Python's"))
    })
}

fn go() -> Result<Command> {
    let go = settings::find_program("go").context("Go is not installed")?;
    Ok(Command::new(go))
}

/// A file or directory of the cache, made once. It is moved into place as a whole, so what is there is complete.
fn once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = settings::cache_dir();
    let place = cache.join(name);
    if place.exists() {
        return Ok(place);
    }
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join("stripe.lock"))?;
    lock.lock()?;
    if place.exists() {
        return Ok(place);
    }
    ui::step(&format!("providing {name}, once"));
    let part = cache.join(format!("{name}.part"));
    let _absent = fs::remove_dir_all(&part).or_else(|_| fs::remove_file(&part));
    make(&part)?;
    fs::rename(&part, &place)?;
    Ok(place)
}
