private import Bytes
package import ControlFiles
private import Posix

/// One control file as qmail-showctl tells it (table of spec-qmail §4.5).
package struct ControlSetting: Sendable {
    package enum Kind: Sendable {
        /// `PRE VALUE POST.`
        case number(UInt64)
        /// `PRE VALUE.`; nil = the value of `me`.
        case text(String?)
        /// A line for each entry; what holds without the file.
        case list(whenAbsent: String)
        /// morercpthosts.cdb: whether it fits its source.
        case compiled(source: String)
    }

    package let name: String
    let kind: Kind
    let before: String
    let after: String

    private init(_ name: String, _ kind: Kind, _ before: String = "", _ after: String = "") {
        self.name = name
        self.kind = kind
        self.before = before
        self.after = after
    }

    /// In the order of the output.
    package static func all(hasRcpthosts: Bool) -> [ControlSetting] {
        let accepted = "SMTP clients may send messages to recipients at "
        let more =
            hasRcpthosts
            ? ControlSetting("morercpthosts", .list(whenAbsent: "No effect."), accepted, ".")
            : ControlSetting(
                "morercpthosts", .list(whenAbsent: "No rcpthosts; morercpthosts is irrelevant."),
                "No rcpthosts; doesn't matter that morercpthosts has ", ".")
        return [
            ControlSetting("badmailfrom", .list(whenAbsent: "Any MAIL FROM is allowed."), "", " not accepted in MAIL FROM."),
            ControlSetting("bouncefrom", .text("MAILER-DAEMON"), "Bounce user name is "),
            ControlSetting("bouncehost", .text(nil), "Bounce host name is "),
            ControlSetting("concurrencylocal", .number(10), "Local concurrency is "),
            ControlSetting("concurrencyremote", .number(20), "Remote concurrency is "),
            ControlSetting("databytes", .number(0), "SMTP DATA limit is ", " bytes"),
            ControlSetting("defaultdomain", .text(nil), "Default domain name is "),
            ControlSetting("defaulthost", .text(nil), "Default host name is "),
            ControlSetting("doublebouncehost", .text(nil), "2B recipient host: "),
            ControlSetting("doublebounceto", .text("postmaster"), "2B recipient user: "),
            ControlSetting("envnoathost", .text(nil), "Presumed domain name is "),
            ControlSetting("helohost", .text(nil), "SMTP client HELO host name is "),
            ControlSetting("idhost", .text(nil), "Message-ID host name is "),
            ControlSetting("localiphost", .text(nil), "Local IP address becomes "),
            ControlSetting("locals", .list(whenAbsent: "Messages for me are delivered locally."), "Messages for ", " are delivered locally."),
            ControlSetting("me", .text("undefined! Uh-oh"), "My name is "),
            ControlSetting("percenthack", .list(whenAbsent: "The percent hack is not allowed."), "The percent hack is allowed for user%host@", "."),
            ControlSetting("plusdomain", .text(nil), "Plus domain name is "),
            ControlSetting("qmqpservers", .list(whenAbsent: "No QMQP servers."), "QMQP server: ", "."),
            ControlSetting("queuelifetime", .number(604_800), "Message lifetime in the queue is ", " seconds"),
            ControlSetting("rcpthosts", .list(whenAbsent: "SMTP clients may send messages to any recipient."), accepted, "."),
            more,
            ControlSetting("morercpthosts.cdb", .compiled(source: "morercpthosts")),
            ControlSetting("smtpgreeting", .text(nil), "SMTP greeting: 220 "),
            ControlSetting("smtproutes", .list(whenAbsent: "No artificial SMTP routes."), "SMTP route: "),
            ControlSetting("timeoutconnect", .number(60), "SMTP client connection timeout is ", " seconds"),
            ControlSetting("timeoutremote", .number(1200), "SMTP client data timeout is ", " seconds"),
            ControlSetting("timeoutsmtpd", .number(1200), "SMTP server data timeout is ", " seconds"),
            ControlSetting("virtualdomains", .list(whenAbsent: "No virtual domains."), "Virtual domain: "),
        ]
    }

    /// What is shown of it.
    package func entry(_ control: ControlDirectory, me: [UInt8]?) -> [UInt8] {
        do throws(SystemError) {
            return switch kind {
            case .number(let value): try number(control, value)
            case .text(let value): try text(control, value.map { Array($0.utf8) } ?? me ?? Array(name.utf8))
            case .list(let absent): try list(control, absent)
            case .compiled(let source): Array("\(name): \(try freshness(control, source))\n".utf8)
            }
        } catch {
            return Array("\(name): Oops! Trouble reading this file.\n".utf8)
        }
    }

    private func number(_ control: ControlDirectory, _ value: UInt64) throws(SystemError) -> [UInt8] {
        let given = try control.integer(name)
        return Array("\(name): \(given == nil ? "(Default.) " : "")\(before)\(given ?? value)\(after).\n".utf8)
    }

    private func text(_ control: ControlDirectory, _ value: [UInt8]) throws(SystemError) -> [UInt8] {
        let given = try control.line(name)
        return "\(name): \(given == nil ? "(Default.) " : "")\(before)".utf8 + ControlSetting.visible(given ?? value) + ".\n".utf8
    }

    private func list(_ control: ControlDirectory, _ absent: String) throws(SystemError) -> [UInt8] {
        guard let entries = try control.list(name) else { return Array("\(name): (Default.) \(absent)\n".utf8) }
        var result = Array("\(name): \n".utf8)
        for entry in entries { result += before.utf8 + ControlSetting.visible(entry) + after.utf8 + [ASCII.lf] }
        return result
    }

    private func freshness(_ control: ControlDirectory, _ source: String) throws(SystemError) -> String {
        switch (FileAge.of(control.file(name)), FileAge.of(control.file(source))) {
        case (nil, nil): "(Default.) No effect."
        case (.some, nil): "Oops! \(name) exists but \(source) doesn't."
        case (nil, .some): "Oops! \(source) exists but \(name) doesn't."
        case (.some(let compiled), .some(let written)):
            compiled < written ? "Oops! \(name) is older than \(source)." : "Modified recently enough; hopefully up to date."
        }
    }

    static func visible(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 >= ASCII.space && $0 <= 0x7E ? $0 : ASCII.question } }
}
