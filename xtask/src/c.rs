//! The C and C++ programs: every test and example built against the shared library, and run plain, under valgrind and with AddressSanitizer.

use crate::run::{Outcome, at, cargo, command, files, root, run, run_quietly, target};
use crate::{abi, consumers, matrix, readme, servers};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];
const FOLDERS: [(&str, Language); 4] = [
    ("vault-ffi/tests/c", Language::C),
    ("vault-ffi/tests/cpp", Language::Cpp),
    ("examples/c", Language::C),
    ("examples/cpp", Language::Cpp),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    C,
    Cpp,
}

impl Language {
    fn ending(self) -> &'static str {
        if self == Language::C { "c" } else { "cpp" }
    }

    fn compiler(self) -> &'static str {
        if self == Language::C { "cc" } else { "g++" }
    }

    /// The standards that the headers and programs are clean in; programs are built by the first.
    fn standards(self) -> &'static [&'static str] {
        if self == Language::C { &["-std=c11"] } else { &["-std=c++17", "-std=c++20"] }
    }
}

/// A program, and how it is looked at.
struct Job {
    source: PathBuf,
    language: Language,
    /// Built and run with AddressSanitizer, instead of run plain and under valgrind.
    is_sanitized: bool,
    is_example: bool,
}

/// Builds and runs them all.
pub(crate) fn programs() -> Outcome {
    matrix::names_every_function()?;
    abi::check()?;
    let lib = library()?;
    headers_are_clean(&lib)?;
    let mut jobs = Vec::new();
    for (folder, language) in FOLDERS {
        let is_example = folder.starts_with("examples");
        for source in files(&root().join(folder), language.ending())? {
            // Examples are small, and what they call the tests call too: they need not be looked at in each way.
            let ways: &[bool] = if is_example { &[false] } else { &[false, true] };
            jobs.extend(ways.iter().map(|&is_sanitized| Job { source: source.clone(), language, is_sanitized, is_example }));
        }
    }
    in_parallel(&jobs, |job| job.run(&lib))?;
    readme::programs(&lib)?;
    consumers::build_and_run()
}

impl Job {
    fn run(&self, lib: &Path) -> Outcome {
        let program = self.build(lib)?;
        let mut runs = Vec::new();
        if self.is_sanitized || !self.is_example {
            runs.push(command(&program));
        }
        if !self.is_sanitized {
            runs.push(valgrind(&program));
            self.is_clean_in_later_standards()?;
        }
        for run in runs {
            let mut run = servers::beside(&self.source, run)?;
            run_quietly(run.env("LD_LIBRARY_PATH", lib).env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1"))?;
        }
        let how = if self.is_sanitized { " with AddressSanitizer" } else { "" };
        println!("{}{how}", self.source.strip_prefix(root()).unwrap_or(&self.source).display());
        Ok(())
    }

    fn build(&self, lib: &Path) -> Outcome<PathBuf> {
        let within = self.source.strip_prefix(root()).unwrap_or(&self.source).to_string_lossy().replace(['/', '.'], "-");
        let program = lib.join(if self.is_sanitized { within + "-asan" } else { within });
        let mut compiler = self.compiler(self.language.standards()[0])?;
        if self.is_sanitized {
            compiler.args(["-fsanitize=address", "-fno-omit-frame-pointer"]);
        }
        compiler.arg("-g").arg("-o").arg(&program).arg("-L").arg(lib).args(["-lvault", "-lpthread"]);
        run_quietly(compiler.args(self.libpq("--libs")?)).map(|()| program)
    }

    fn is_clean_in_later_standards(&self) -> Outcome {
        self.language.standards()[1..].iter().try_for_each(|standard| run_quietly(self.compiler(standard)?.arg("-fsyntax-only")))
    }

    fn compiler(&self, standard: &str) -> Outcome<Command> {
        let mut compiler = command(self.language.compiler());
        compiler.arg(standard).args(WARNINGS).args(self.libpq("--cflags")?).arg("-I").arg(root().join("include")).arg(&self.source);
        Ok(compiler)
    }

    /// What a program that speaks to PostgreSQL is built with beside that.
    fn libpq(&self, what: &str) -> Outcome<Vec<String>> {
        if servers::needs_postgres(&self.source) { servers::libpq(what) } else { Ok(Vec::new()) }
    }
}

fn valgrind(program: &Path) -> Command {
    let mut valgrind = command("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,possible"]);
    // sled's threads outlive its databases; what is excused is named in the file.
    let excused = format!("--suppressions={}", root().join("vault-ffi/tests/c/valgrind.supp").display());
    valgrind.args(["--errors-for-leak-kinds=definite,possible", &excused]).arg(program);
    valgrind
}

/// The shared library under the names that the linker and the loader look for.
fn library() -> Outcome<PathBuf> {
    run(cargo().args(["build", "-p", "vault-ffi"]))?;
    let dir = target()?.join("c");
    fs::create_dir_all(&dir).map_err(at(&dir))?;
    for name in ["libvault.so", "libvault.so.0"] {
        let to = dir.join(name);
        fs::copy(target()?.join("debug/libvault.so"), &to).map_err(at(&to))?;
    }
    Ok(dir)
}

/// The headers are clean in each standard, and may be included twice.
fn headers_are_clean(dir: &Path) -> Outcome {
    let headers = [("vault.h", Language::C), ("vault.h", Language::Cpp), ("vault.hpp", Language::Cpp)];
    for (header, language) in headers {
        for standard in language.standards() {
            let source = dir.join(format!("header.{}", language.ending()));
            let text = format!("#include \"{header}\"\n#include \"{header}\"\nint main(void) {{ return VAULT_OK; }}\n");
            fs::write(&source, text).map_err(at(&source))?;
            let mut compiler = command(language.compiler());
            compiler.arg(standard).args(WARNINGS).args(["-fsyntax-only", "-I"]).arg(root().join("include")).arg(&source);
            run_quietly(&mut compiler)?;
        }
    }
    Ok(())
}

/// Does each job once, on as many threads as there are processors; the failures of all are told.
fn in_parallel<T: Sync>(jobs: &[T], work: impl Fn(&T) -> Outcome + Sync) -> Outcome {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = work(job) {
                        failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_is_done_once_and_each_failure_is_told() {
        let jobs: Vec<usize> = (0..100).collect();
        let done = Mutex::new(Vec::new());
        let outcome = in_parallel(&jobs, |job| {
            done.lock().expect("no panic").push(*job);
            if job % 50 == 7 { Err(format!("job {job}")) } else { Ok(()) }
        });
        let mut done = done.into_inner().expect("no panic");
        done.sort_unstable();
        assert_eq!(done, jobs);
        let told = outcome.expect_err("two fail");
        assert!(told.contains("job 7") && told.contains("job 57"));
    }
}
