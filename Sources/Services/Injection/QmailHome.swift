private import Glibc
package import Posix

/// The folder that everything of an installation lies under; `/var/qmail` by custom.
package enum QmailHome {
    package static let standard = "/var/qmail"

    /// `QMAILHOME` of the environment; else, for a program in `HOME/bin` whose home is in use (it has a `run` folder), that home; else ``standard``.
    package static func find() -> String {
        if let given = getenv("QMAILHOME"), given.pointee != 0 { return String(cString: given) }
        if let own = besideProgram(), isDirectory(own + "/run") { return own }
        return standard
    }

    /// Makes it the working directory, so that control files and sockets are reached by relative paths.
    package static func enter() throws(SystemError) {
        let home = find()
        try check("chdir", home) { chdir(home) }
    }

    private static func besideProgram() -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes -> Int in
            guard let start = bytes.baseAddress else { return 0 }
            return readlink("/proc/self/exe", start.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard count > 0, count < buffer.count else { return nil }
        let slash = UInt8(ascii: "/")
        let folder = buffer[..<count].lastIndex(of: slash).map { buffer[..<$0] } ?? []
        guard let end = folder.lastIndex(of: slash), end > 0 else { return nil }
        return String(validating: folder[..<end], as: UTF8.self)
    }

    private static func isDirectory(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
    }
}
