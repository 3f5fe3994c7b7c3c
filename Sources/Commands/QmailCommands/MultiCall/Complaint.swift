private import Bytes

/// `PROGRAM: fatal: TEXT` on descriptor 2, and the exit code to return.
func fatal(_ program: String, _ text: some Collection<UInt8>, _ code: Int32) -> Int32 {
    writeAll((Array("\(program): fatal: ".utf8) + text + [ASCII.lf])[...], to: 2)
    return code
}

func fatal(_ program: String, _ text: String, _ code: Int32) -> Int32 { fatal(program, text.utf8, code) }

/// How a program is called right, then 100.
func usage(_ program: String, _ synopsis: String) -> Int32 {
    writeAll(Array("\(program): usage: \(synopsis)\n".utf8)[...], to: 2)
    return ExitCode.permanent
}
