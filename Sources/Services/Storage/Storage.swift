package import Posix

/// All that the queue does with a disk. Two implementations: ``Disk``, and the simulated one of the tests, which forgets unsynced writes, tears
/// them, reorders them, loses directory entries and fails on demand.
///
/// Paths are relative to the queue's folder. Calls block; they are made on threads of their own.
///
/// It must not know what a segment or a message is. What holds: a write is durable only after the file's sync, a name only after its directory's.
package protocol Storage: Sendable {
    /// Names in a directory, in no order; empty when it does not exist.
    func list(_ directory: String) throws(SystemError) -> [String]
    func makeDirectory(_ path: String) throws(SystemError)
    /// Makes a file that must not exist.
    func create(_ path: String) throws(SystemError) -> any StorageFile
    func open(_ path: String) throws(SystemError) -> any StorageFile
    func rename(_ path: String, to newPath: String) throws(SystemError)
    func remove(_ path: String) throws(SystemError)
    /// What may still be written, about.
    func freeBytes() throws(SystemError) -> Int
    /// Makes the entries of a directory durable.
    func syncDirectory(_ path: String) throws(SystemError)
}

/// An open file. It closes when the last reference goes.
package protocol StorageFile: AnyObject, Sendable {
    func size() throws(SystemError) -> Int
    /// Writes all bytes or throws.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(SystemError)
    /// Fewer bytes than asked for only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int
    /// Makes the content durable, and the size when it grew. After a failure nothing is known about any write since the last success.
    func sync() throws(SystemError)
}

extension StorageFile {
    package func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(SystemError) in try write(buffer, at: offset) }
        }
        try result.get()
    }

    /// - Returns: at most `count` bytes, fewer at the end of the file.
    package func read(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: max(0, count)) { buffer, filled in
            do throws(SystemError) {
                filled = try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
