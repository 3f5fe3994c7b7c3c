private import Bytes
private import Glibc

/// A password from a terminal, a file or a pipe; never from an argument, which everybody may read.
enum PasswordInput {
    /// What crypt(3) takes.
    static let maxBytes = 511

    /// - Parameter file: its first line; `-` for standard input. Nil: asked for on a terminal, else standard input too.
    static func read(_ file: String?, for subject: String) throws(Complaint) -> [UInt8] {
        let password: [UInt8]
        switch file {
        case nil where isatty(STDIN_FILENO) == 1: password = try ask(subject)
        case nil, "-": password = try line(of: STDIN_FILENO)
        case let path?:
            let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw Complaint("cannot read \(path): name a file that holds the password") }
            defer { close(descriptor) }
            password = try line(of: descriptor)
        }
        guard !password.isEmpty, password.count <= maxBytes, !password.contains(ASCII.nul) else {
            throw Complaint("a password is 1 to \(maxBytes) bytes without NUL: choose another")
        }
        return password
    }

    private static func line(of descriptor: Int32) throws(Complaint) -> [UInt8] {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        // One at a time: what follows the line is somebody else's.
        while line.count <= maxBytes {
            let count = Glibc.read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Complaint("cannot read the password: give it on standard input or in --password-file") }
            if count == 0 || byte == ASCII.lf { break }
            line.append(byte)
        }
        if line.last == ASCII.cr { line.removeLast() }
        return line
    }

    private static func ask(_ subject: String) throws(Complaint) -> [UInt8] {
        let password = try prompt("Password for \(subject): ")
        guard try prompt("Once more: ") == password else { throw Complaint("the two passwords differ: try again") }
        return password
    }

    private static let interrupt: UInt8 = 3

    private static func prompt(_ text: String) throws(Complaint) -> [UInt8] {
        Terminal.write(Array(text.utf8), to: STDERR_FILENO)
        var before = termios()
        tcgetattr(STDIN_FILENO, &before)
        var silent = before
        // Without signals from the keyboard: one would leave the terminal silent.
        silent.c_lflag &= ~tcflag_t(ECHO | ISIG)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            Terminal.write([ASCII.lf], to: STDERR_FILENO)
        }
        let line = try line(of: STDIN_FILENO)
        guard !line.contains(interrupt) else { throw Complaint("nothing was changed") }
        return line
    }
}
