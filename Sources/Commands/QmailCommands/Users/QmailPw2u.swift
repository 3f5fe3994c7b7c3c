private import Bytes
private import ControlFiles
private import Glibc
private import Injection
private import Posix

/// qmail-pw2u (qmail §6.6): a passwd file made into `users/assign`.
enum QmailPw2u {
    static func run(_ call: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        var output = Output(1)
        do throws(Failure) {
            let options: Options
            do throws(Options.Failure) { options = try Options(call.arguments, accepting: "/ohHuUCc:") } catch {
                writeAll(error.message(call.programName)[...], to: 2)
                return ExitCode.permanent
            }
            do throws(SystemError) { try QmailHome.enter() } catch { throw Failure("unable to chdir") }
            var work = Assignments(options, try Selection())
            try work.write(to: &output)
        } catch {
            if error.showsOutput { output.flush() }
            return fatal("qmail-pw2u", error.text, ExitCode.temporary)
        }
        output.flush()
        return output.hasFailed ? fatal("qmail-pw2u", "unable to write output", ExitCode.temporary) : ExitCode.ok
    }
}

private struct Failure: Error {
    let text: [UInt8]
    /// Whether the lines made so far are printed all the same.
    let showsOutput: Bool

    init(_ text: some Collection<UInt8>, showsOutput: Bool = false) {
        self.text = Array(text)
        self.showsOutput = showsOutput
    }

    init(_ text: String) { self.init(text.utf8) }
}

/// Who is in it and by which names: the files beside `users/assign`.
private struct Selection {
    /// Nil: everybody.
    private let included: Set<[UInt8]>?
    private let excluded: Set<[UInt8]>
    private let names: [[UInt8]: [UInt8]]
    let subusers: [[UInt8]]
    let appended: [UInt8]

    init() throws(Failure) {
        let folder = ControlDirectory("users")
        do throws(SystemError) {
            included = try folder.list("include").map { Set($0.map { $0.lowercasedASCII() }) }
            excluded = Set((try folder.list("exclude") ?? []).map { $0.lowercasedASCII() })
            names = try folder.map("mailnames") ?? [:]
            subusers = try folder.list("subusers") ?? []
            appended = try folder.bytes("append") ?? []
        } catch { throw Failure("unable to read controls") }
    }

    func takes(_ user: [UInt8]) -> Bool {
        let user = user.lowercasedASCII()
        return included?.contains(user) != false && !excluded.contains(user)
    }

    func names(of user: [UInt8]) -> [ArraySlice<UInt8>] {
        guard let names = names[user.lowercasedASCII()] else { return [user[...]] }
        return names.split(separator: ASCII.colon)
    }
}

private struct Account {
    let name: [UInt8]
    let uid: UInt64
    /// `NAME:UID:GID:HOME`, the end of each line's first half.
    let fields: [UInt8]
    let home: [UInt8]

    /// - Returns: nil for a line that is none of a passwd file.
    init?(_ line: ArraySlice<UInt8>) {
        let parts = line.split(separator: ASCII.colon, omittingEmptySubsequences: false)
        guard parts.count >= 7, !line.contains(ASCII.nul), let uid = parseLeadingDecimal(parts[2]), let gid = parseLeadingDecimal(parts[3]) else {
            return nil
        }
        name = Array(parts[0])
        self.uid = uid
        home = Array(parts[5])
        fields = name + ":\(uid):\(gid):".utf8 + home
    }
}

private struct Assignments {
    private enum HomeCheck { case skipIfMissing, stopIfMissing, none }

    private let selection: Selection
    private var homeCheck = HomeCheck.skipIfMissing
    private var takesUpperCase = false
    private var hasExtensions = true
    private var dash = "-"
    private var separator: [UInt8] = [ASCII.hyphen]
    private var accounts: [[UInt8]: Account] = [:]

    private static let alias = Array("alias".utf8)
    private static let maxLineBytes = 1 << 20

    init(_ options: Options, _ selection: Selection) {
        self.selection = selection
        for option in options.options {
            switch option.letter {
            case "/": dash = "-/"
            case "o": homeCheck = .skipIfMissing
            case "h": homeCheck = .stopIfMissing
            case "H": homeCheck = .none
            case "u": takesUpperCase = true
            case "U": takesUpperCase = false
            case "C": hasExtensions = false
            default:
                hasExtensions = true
                separator = Array(option.value.prefix(1))
            }
        }
    }

    /// Accounts, then users without an account of their own, then what the administrator adds.
    mutating func write(to output: inout Output) throws(Failure) {
        var input = Input(0)
        while let line = try Assignments.line(&input) {
            guard let account = Account(line), try takes(account) else { continue }
            accounts[account.name] = account
            write(account, to: &output)
        }
        guard accounts[Assignments.alias] != nil else { throw Failure("unable to find alias user".utf8, showsOutput: true) }
        for line in selection.subusers { try write(subuser: line, to: &output) }
        output.write(selection.appended)
        output.write(".\n")
    }

    private static func line(_ input: inout Input) throws(Failure) -> ArraySlice<UInt8>? {
        do throws(Input.Failure) {
            return try input.line(limit: maxLineBytes).map { $0.last == ASCII.lf ? $0.dropLast() : $0 }
        } catch { throw Failure("unable to read input") }
    }

    private func takes(_ account: Account) throws(Failure) -> Bool {
        guard account.uid != 0, takesUpperCase || !account.name.contains(where: { $0 != $0.lowercased }), selection.takes(account.name) else {
            return false
        }
        if homeCheck == .none { return true }
        return try owns(account)
    }

    private func owns(_ account: Account) throws(Failure) -> Bool {
        var info = stat()
        do throws(SystemError) {
            try withPath(account.home) { (path) throws(SystemError) in try check("stat") { stat(path, &info) } }
        } catch {
            if error.errno == ENOENT, homeCheck == .skipIfMissing { return false }
            throw Failure("unable to stat ".utf8 + account.home)
        }
        return UInt64(info.st_uid) == account.uid
    }

    private func write(_ account: Account, to output: inout Output) {
        if account.name == Assignments.alias { write("+", [], account.fields, ":\(dash)::", to: &output) }
        for name in selection.names(of: account.name) {
            write("=", name, account.fields, ":::", to: &output)
            if hasExtensions { write("+", name + separator, account.fields, ":\(dash)::", to: &output) }
        }
    }

    private func write(_ sign: String, _ name: ArraySlice<UInt8>, _ middle: [UInt8], _ end: String, to output: inout Output) {
        output.write(sign)
        output.write(name)
        output.write(":")
        output.write(middle)
        output.write("\(end)\n")
    }

    /// `sub:user:pre:`
    private func write(subuser line: [UInt8], to output: inout Output) throws(Failure) {
        let parts = line.split(separator: ASCII.colon, omittingEmptySubsequences: false)
        guard parts.count >= 3 else { return }
        guard let account = accounts[Array(parts[1])] else {
            throw Failure("unable to find ".utf8 + parts[1] + " user for subuser".utf8, showsOutput: true)
        }
        let middle = account.fields + Array(":\(dash):".utf8) + parts[2]
        write("=", parts[0], middle, ":", to: &output)
        if hasExtensions { write("+", parts[0] + separator, middle, "-:", to: &output) }
    }
}
