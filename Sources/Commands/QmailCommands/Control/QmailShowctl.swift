private import Bytes
private import ControlFiles
private import Glibc
private import Injection
private import Posix

/// qmail-showctl (spec-qmail §4.5): what the control files say, and what holds where they say nothing.
enum QmailShowctl {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        var output = Output(1)
        let home = QmailHome.find()
        output.write("qmail home directory: \(home).\nuser-ext delimiter: -.\npaternalism (in decimal): 2.\n")
        output.write("silent concurrency limit: 120.\nsubdirectory split: 23.\n")
        let users = ["alias", "qmaild", "qmaill", "root", "qmailp", "qmailq", "qmailr", "qmails"]
        output.write("user ids: \(users.map { String(userID($0)) }.joined(separator: ", ")).\n")
        output.write("group ids: \(["nofiles", "qmail"].map { String(groupID($0)) }.joined(separator: ", ")).\n")
        let trouble = show(&output, all: call.arguments.first?.elementsEqual("-a".utf8) == true)
        if let trouble { output.write(trouble) }
        output.flush()
        return trouble == nil && !output.hasFailed ? ExitCode.ok : ExitCode.temporary
    }

    /// Where an installation has one account for all, it is that one.
    private static func userID(_ name: String) -> UInt32 { getpwnam(name)?.pointee.pw_uid ?? geteuid() }
    private static func groupID(_ name: String) -> UInt32 { getgrnam(name)?.pointee.gr_gid ?? getegid() }

    /// - Returns: the complaint that ends it all.
    private static func show(_ output: inout Output, all showsAll: Bool) -> String? {
        do throws(SystemError) { try QmailHome.enter() } catch { return "Oops! Unable to chdir to \(QmailHome.find()).\n" }
        guard chdir("control") == 0 else { return "Oops! Unable to chdir to control.\n" }
        let control = ControlDirectory(".")
        guard let names = entries() else { return "Oops! Unable to open current directory.\n" }
        let me: [UInt8]?
        do throws(SystemError) { me = try control.line("me") } catch { return "Oops! Trouble reading control/me." }
        let hasRcpthosts = access("rcpthosts", F_OK) == 0
        for setting in ControlSetting.all where setting.isQmails || showsAll || names.contains(where: { $0.elementsEqual(setting.name.utf8) }) {
            output.write([ASCII.lf])
            output.write(setting.entry(control, me: me, hasRcpthosts: hasRcpthosts))
        }
        for name in names where !ControlSetting.all.contains(where: { name.elementsEqual($0.name.utf8) }) {
            output.write("\n".utf8 + ControlSetting.visible(name) + ": I have no idea what this file does.\n".utf8)
        }
        return nil
    }

    private static func entries() -> [[UInt8]]? {
        guard let directory = opendir(".") else { return nil }
        defer { closedir(directory) }
        var names: [[UInt8]] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [ASCII.dot], name != [ASCII.dot, ASCII.dot] { names.append(name) }
        }
        return names
    }
}
