private import Bytes
private import Injection
private import Posix

/// The message on descriptor 0 queued again for other addresses, with our Delivered-To line in front: what forward and condredirect end in.
enum Redelivery {
    /// Says `APPLET: qp N`, or why not.
    /// - Parameter sender: the envelope's.
    static func queue(for applet: String, _ line: [UInt8], sender: [UInt8], recipients: [[UInt8]], _ environment: Environment) -> Int32 {
        do throws(InjectionFailure) {
            do throws(SystemError) { try QmailHome.enter() } catch { throw InjectionFailure(.troubleInHome) }
            let injection = try Injection(program: environment["QMAILQUEUE"])
            try injection.write(line[...])
            var input = Input(0)
            while let chunk = try next(&input) { try injection.write(chunk) }
            let number = try injection.commit(sender: sender, recipients: recipients)
            writeAll(Array("\(applet): qp \(number)\n".utf8)[...], to: 2)
            return ExitCode.ok
        } catch {
            return fatal(applet, error.text, error.isPermanent ? ExitCode.permanent : ExitCode.temporary)
        }
    }

    private static func next(_ input: inout Input) throws(InjectionFailure) -> ArraySlice<UInt8>? {
        do throws(Input.Failure) { return try input.chunk() } catch {
            throw InjectionFailure(isPermanent: false, text: "unable to read message: \(errorText(error.errno))")
        }
    }
}
