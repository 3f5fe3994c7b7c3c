private import Bytes
private import CPosix
private import Glibc
private import Injection
private import Posix

/// sendmail (spec-qmail §12.1): the name and options that other programs know, for qmail-inject. Called as mailq it is qmail-qread.
enum Sendmail {
    private static let synopsis = "sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]"

    /// - Parameter lines: what the message begins with, before descriptor 0.
    static func run(_ call: Invocation, after lines: [UInt8] = []) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        let options: Options
        do throws(Options.Failure) { options = try Options(call.arguments, accepting: "vimte:f:p:o:B:F:E;J;xb:") } catch {
            writeAll(error.message(call.programName)[...], to: 2)
            return usage("sendmail", synopsis)
        }
        do throws(SystemError) { try QmailHome.enter() } catch { return notAtHome() }
        var environment = call.environment
        var arguments = [Array("-a".utf8)]
        for option in options.options {
            switch option.letter {
            case "t": arguments[0] = Array("-H".utf8)
            case "F": environment["MAILNAME"] = option.value
            case "f": arguments = [arguments[0], Array("-f".utf8), option.value]
            case "b":
                switch option.value {
                case [UInt8(ascii: "m")]: continue
                case [UInt8(ascii: "p")]: return QmailQread.run(call)
                case [UInt8(ascii: "s")]: return serve(call.environment)
                default: return usage("sendmail", synopsis)
                }
            default: continue
            }
        }
        if arguments.count == 3 { takeFrom(arguments[2], &environment) }
        arguments.append([ASCII.hyphen, ASCII.hyphen])
        let inject = Invocation(programName: Array("qmail-inject".utf8), arguments: arguments + options.rest, environment: environment)
        return QmailInject.run(inject, Input(0, after: lines, lineEnds: LineEnds()))
    }

    /// -f names the author too, unless the header does.
    private static func takeFrom(_ sender: [UInt8], _ environment: inout Environment) {
        for name in ["QMAILNAME", "MAILNAME", "NAME", "QMAILHOST", "MAILHOST"] { environment[name] = nil }
        let at = sender.lastIndex(of: ASCII.at)
        if let at { environment["QMAILHOST"] = Array(sender[(at + 1)...]) }
        environment["QMAILUSER"] = Array(sender[..<(at ?? sender.endIndex)])
    }

    private static func notAtHome() -> Int32 { fatal("sendmail", "unable to switch to qmail home directory", ExitCode.temporary) }

    static func newaliases(_: Invocation) -> Int32 {
        fatal("sendmail", "please use fastforward/newaliases instead", ExitCode.permanent)
    }

    /// -bs: an SMTP session on descriptors 0 and 1 for a local program.
    private static func serve(_ environment: Environment) -> Int32 {
        if environment["PROTO"] == nil {
            for (name, value) in [
                ("RELAYCLIENT", ""), ("DATABYTES", "0"), ("PROTO", "TCP"), ("TCPLOCALIP", "127.0.0.1"), ("TCPLOCALHOST", "localhost"),
                ("TCPREMOTEIP", "127.0.0.1"), ("TCPREMOTEHOST", "localhost"), ("TCPREMOTEINFO", "sendmail-bs"),
            ] { setenv(name, value, 1) }
        }
        "bin/qmail-smtpd".withCString { path in
            var arguments: [UnsafeMutablePointer<CChar>?] = [UnsafeMutablePointer(mutating: path), nil]
            execve(path, &arguments, martlet_environment())
        }
        return fatal("sendmail", "unable to run qmail-smtpd", ExitCode.temporary)
    }
}
