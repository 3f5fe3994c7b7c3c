private import Bytes
private import Dates
private import Glibc
private import Posix

/// predate (qmail §12.2): runs a program with a Date field in front of its input.
enum Predate {
    static let synopsis = "program [ arg ... ]"

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard let command = call.arguments.first else { return usage("predate", "predate child") }
        do throws(FedChild.Failure) {
            switch try FedChild.run(call.arguments, after: dateField(), mayStopReading: true) {
            case .exited(let code): return code
            case .killed: return fatal("predate", "child crashed", ExitCode.temporary)
            }
        } catch {
            switch error {
            case .starting(let error): return fatal("predate", "unable to run ".utf8 + command + ": \(error.reason)".utf8, ExitCode.temporary)
            case .copying(let error): return fatal("predate", "unable to copy input: \(error.reason)", ExitCode.temporary)
            }
        }
    }

    /// datemail: sendmail with that field.
    static func datemail(_ call: Invocation) -> Int32 { Sendmail.run(call, after: dateField()) }

    /// Now, as clocks show it here: `Date: 3 Jan 1996 06:35:34 +0530`.
    private static func dateField() -> [UInt8] {
        var now = time(nil)
        var local = tm()
        localtime_r(&now, &local)
        let minutes = abs(local.tm_gmtoff) / 60
        let digits = String(10_000 + minutes / 60 * 100 + minutes % 60).dropFirst()
        let shown = MailDate(UInt64(max(0, now + local.tm_gmtoff))).dateAndTime
        return Array("Date: \(shown) \(local.tm_gmtoff < 0 ? "-" : "+")\(digits)\n".utf8)
    }
}
