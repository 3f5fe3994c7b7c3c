import MartletCommands

Martlet.run()
