private import Bytes
private import Glibc
private import MessageHeader
private import Posix

/// qbiff (qmail §12.2): tells a user who is logged in, and wants to know, that mail is here. Nothing that fails is worth a bounce: it exits 0.
enum Qbiff {
    private static let textBytes = 78
    /// `biff y` sets it on a terminal.
    private static let wantsToKnow: mode_t = 0o100

    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        guard let user = call.environment["USER"] else { return ExitCode.ok }
        let text = notice(call.environment)
        setutxent()
        while let entry = getutxent() {
            guard entry.pointee.ut_type == USER_PROCESS, field(entry.pointee.ut_user).elementsEqual(user) else { continue }
            tell(field(entry.pointee.ut_line), text)
        }
        endutxent()
        return ExitCode.ok
    }

    /// Bytes of a record of utmp, up to a NUL.
    private static func field<Field>(_ field: Field) -> [UInt8] { withUnsafeBytes(of: field) { Array($0.prefix { $0 != 0 }) } }

    private static func tell(_ line: [UInt8], _ text: [UInt8]) {
        guard !line.contains(where: { $0 == ASCII.dot }),
            let terminal = try? FileDescriptor.open("/dev/".utf8 + line, O_WRONLY | O_NONBLOCK | O_NOCTTY)
        else { return }
        var info = stat()
        guard fstat(terminal.raw, &info) == 0, info.st_uid == getuid(), info.st_mode & wantsToKnow != 0, isatty(terminal.raw) == 1 else { return }
        // Once: a terminal that is stopped must not stop the delivery.
        _ = text.withUnsafeBytes { write(terminal.raw, $0.baseAddress, $0.count) }
    }

    private static func notice(_ environment: Environment) -> [UInt8] {
        let local = visible(environment["LOCAL"] ?? [], as: ASCII.underscore)
        let sender = visible(environment["SENDER"] ?? [], as: ASCII.underscore)
        return "\r\n\u{7}*** TO <".utf8 + local + "> FROM <".utf8 + sender + ">\r\n    ".utf8 + visible(beginning(), as: ASCII.slash) + "\r\n".utf8
    }

    /// Of subject and body.
    private static func beginning() -> [UInt8] {
        var input = Input(0)
        guard let header = try? HeaderInput(&input) else { return [] }
        var text: [UInt8] = []
        if let subject = header.fields.first(where: { $0.name.equalsIgnoringCase("subject".utf8) }) {
            text += subject.value.drop { $0.isBlank }
        }
        text += header.bodyStart.drop { $0 == ASCII.lf }
        while text.count < textBytes, let chunk = try? input.chunk() { text += chunk }
        return Array(text.prefix(textBytes))
    }

    private static func visible(_ bytes: [UInt8], as replacement: UInt8) -> [UInt8] {
        bytes.map { $0 == ASCII.space || $0.isGraphic ? $0 : replacement }
    }
}
