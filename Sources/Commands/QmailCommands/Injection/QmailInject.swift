private import Addresses
private import Bytes
private import ControlFiles
private import Glibc
private import Injection
package import MessageHeader
package import Posix

/// qmail-inject (spec-qmail §11): completes the header of a message and hands it to the queue.
enum QmailInject {
    static func run(_ call: Invocation) -> Int32 { run(call, Input(0)) }

    /// - Parameter input: the message.
    static func run(_ call: Invocation, _ input: Input) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        let options: Options
        do throws(Options.Failure) { options = try Options(call.arguments, accepting: "aAhHnNf:") } catch {
            writeAll(error.message(call.programName)[...], to: 2)
            return ExitCode.permanent
        }
        do throws(Failure) {
            try inject(options, call.environment, input)
            return ExitCode.ok
        } catch {
            return fatal("qmail-inject", error.text, error.code)
        }
    }

    fileprivate struct Failure: Error {
        let text: [UInt8]
        let code: Int32

        init(_ text: String, _ code: Int32) {
            self.text = Array(text.utf8)
            self.code = code
        }

        init(_ failure: InjectionFailure) { self.init(failure.text, failure.isPermanent ? ExitCode.permanent : ExitCode.temporary) }

        init(_ error: SubmissionError) {
            code = ExitCode.permanent
            text =
                switch error {
                // The field ends with its own LF.
                case .field(let field): Array("unable to parse this line:\n".utf8) + field.dropLast()
                case .address(let address): Array("unable to parse address: ".utf8) + address
                }
        }

        init(_ failure: HeaderInput.Failure) {
            switch failure {
            case .reading: self = .readError
            case .tooLong: self.init("the header is longer than \(HeaderInput.maxBytes) bytes", ExitCode.permanent)
            }
        }

        static let readError = Failure("read error", ExitCode.temporary)
    }

    private static func inject(_ options: Options, _ environment: Environment, _ input: consuming Input) throws(Failure) {
        let mailingLists = MailingLists.read(environment)
        do throws(SystemError) { try QmailHome.enter() } catch {
            throw Failure("unable to switch to \(QmailHome.find()): \(error.reason); QMAILHOME names another home", ExitCode.temporary)
        }
        var settings: SubmissionSettings
        do throws(SystemError) { settings = try SubmissionSettings(environment, now: unixTime(), processID: getpid()) } catch { throw .readError }
        settings.mailingLists = mailingLists
        settings.take(options)

        var input = input
        let read: HeaderInput
        do throws(HeaderInput.Failure) { read = try HeaderInput(&input) } catch { throw Failure(error) }
        let header: CompletedHeader
        do throws(SubmissionError) { header = try CompletedHeader(read.fields, settings) } catch { throw Failure(error) }
        if options.options.last(where: { $0.letter == "n" || $0.letter == "N" })?.letter == "n" {
            try show(header, read.bodyStart, &input)
        } else {
            try queue(header, read.bodyStart, &input, environment["QMAILQUEUE"])
        }
    }

    /// Header, body, and the LF that a last line may lack.
    private static func write(
        _ header: [UInt8], _ bodyStart: ArraySlice<UInt8>, _ input: inout Input, to sink: (ArraySlice<UInt8>) throws(Failure) -> Void
    ) throws(Failure) {
        try sink(header[...])
        var last = bodyStart.last ?? ASCII.lf
        try sink(bodyStart)
        while let chunk = try next(&input) {
            last = chunk.last ?? last
            try sink(chunk)
        }
        if last != ASCII.lf { try sink([ASCII.lf]) }
    }

    private static func next(_ input: inout Input) throws(Failure) -> ArraySlice<UInt8>? {
        do throws(Input.Failure) { return try input.chunk() } catch { throw .readError }
    }

    private static func queue(
        _ header: CompletedHeader, _ bodyStart: ArraySlice<UInt8>, _ input: inout Input, _ program: [UInt8]?
    ) throws(Failure) {
        let injection = try translated { () throws(InjectionFailure) in try Injection(program: program) }
        try write(header.bytes, bodyStart, &input) { (bytes) throws(Failure) in
            try translated { () throws(InjectionFailure) in try injection.write(bytes) }
        }
        _ = try translated { () throws(InjectionFailure) in try injection.commit(sender: header.sender, recipients: header.recipients) }
    }

    private static func translated<Result>(_ body: () throws(InjectionFailure) -> Result) throws(Failure) -> Result {
        do throws(InjectionFailure) { return try body() } catch { throw Failure(error) }
    }

    /// -n: what would be queued.
    private static func show(_ header: CompletedHeader, _ bodyStart: ArraySlice<UInt8>, _ input: inout Input) throws(Failure) {
        var output = Output(1)
        output.write("Return-Path: <".utf8)
        output.write(Address(header.sender)?.quoted ?? header.sender)
        output.write(">\n".utf8)
        try write(header.bytes, bodyStart, &input) { (bytes) throws(Failure) in output.write(bytes) }
        output.flush()
        if output.hasFailed { throw Failure("unable to write", ExitCode.temporary) }
    }
}

extension SubmissionSettings {
    /// Environment first, then the control files (spec-qmail §11.1). A name that no file gives is the file's own name.
    package init(_ environment: Environment, now: UInt64, processID: Int32) throws(SystemError) {
        let control = ControlDirectory()
        var me: [UInt8]??
        func host(_ variable: String, _ file: String) throws(SystemError) -> [UInt8] {
            if let given = environment[variable] { return given }
            if let given = try control.line(file) { return given }
            if me == nil { me = .some(try control.line("me")) }
            return (me ?? nil) ?? Array(file.utf8)
        }
        self.init(
            rewriting: AddressRewriting(
                defaultHost: try host("QMAILDEFAULTHOST", "defaulthost"), defaultDomain: try host("QMAILDEFAULTDOMAIN", "defaultdomain"),
                plusDomain: try host("QMAILPLUSDOMAIN", "plusdomain")),
            idHost: try host("QMAILIDHOST", "idhost"),
            user: environment.first("QMAILUSER", "MAILUSER", "USER", "LOGNAME") ?? Array("anonymous".utf8),
            host: environment.first("QMAILHOST", "MAILHOST"),
            personalName: environment.first("QMAILNAME", "MAILNAME", "NAME"),
            senderUser: environment["QMAILSUSER"], senderHost: environment["QMAILSHOST"],
            style: Style(letters: environment["QMAILINJECT"] ?? []), now: now, processID: processID)
    }

    package mutating func take(_ options: Options) {
        for option in options.options {
            switch option.letter {
            case "a": recipientSource = .arguments
            case "h": recipientSource = .header
            case "A": recipientSource = .argumentsElseHeader
            case "H": recipientSource = .both
            case "f": sender = option.value
            default: break
            }
        }
        arguments = options.rest
    }
}

extension MailingLists {
    private static let maxBytes = 1 << 20

    /// The addresses that `QMAILMFTFILE` lists, a path relative to the caller's folder.
    fileprivate static func read(_ environment: Environment) -> MailingLists {
        guard let path = environment["QMAILMFTFILE"], let bytes = try? readSmallFile(path.text, maxBytes: maxBytes) else { return MailingLists([]) }
        return MailingLists(ControlDirectory.entries(bytes).map(\.text))
    }
}
