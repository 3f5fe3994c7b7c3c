internal import Posix

/// A program of ours with what it has as descriptors 0, 1, 2 ….
struct Launch {
    var program: ChildProgram
    var descriptors: [Int32]

    /// - Returns: the child's process number.
    func start() throws(SystemError) -> Int32 { try program.start(descriptors) }
}
