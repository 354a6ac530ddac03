/** The commands that there are, in the order in which they are listed; a new one is a line here. */
import { benchCommand } from './bench-command.ts'
import type { Command } from './command.ts'
import { completionCommand } from './completion.ts'
import { demoCommand } from './demo.ts'
import { gatewayCommand } from './gateway-command.ts'
import { infoCommand } from './info.ts'
import { keygenCommand } from './keygen-command.ts'
import { nodeCommand } from './node-command.ts'
import { topCommand } from './top.ts'

export const commands: readonly Command[] = [
  demoCommand,
  nodeCommand,
  infoCommand,
  topCommand,
  gatewayCommand,
  keygenCommand,
  benchCommand,
  completionCommand,
]
