private import Glibc
package import Posix

/// A folder of its own for one test, removed at its end.
package final class TemporaryFolder {
    package let path: String

    package init() {
        var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? ""
    }

    package func write(_ name: String, _ bytes: [UInt8]) {
        guard let file = fopen("\(path)/\(name)", "w") else { return }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    package func write(_ name: String, _ text: String) { write(name, Array(text.utf8)) }

    package func makeFolder(_ name: String) { mkdir("\(path)/\(name)", 0o755) }

    package func names(_ folder: String) -> [String] { TemporaryFolder.names("\(path)/\(folder)").sorted() }

    package func read(_ name: String) -> String {
        guard let file = fopen("\(path)/\(name)", "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// An open message, its file already without a name.
    package func message(_ content: String) -> FileDescriptor {
        write("message", content)
        let descriptor = FileDescriptor(owning: open("\(path)/message", O_RDONLY | O_CLOEXEC))
        unlink("\(path)/message")
        return descriptor
    }

    deinit { TemporaryFolder.remove(path) }

    private static func remove(_ path: String) {
        for name in names(path) { remove("\(path)/\(name)") }
        Glibc.remove(path)
    }

    private static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { names.append(String(cString: $0)) }
            }
        }
        return names.filter { $0 != "." && $0 != ".." }
    }
}
