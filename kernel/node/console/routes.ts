/** Where the console's page, what it loads and its feed are served. */
import { readFile } from 'node:fs/promises'
import type { HttpServer } from '../http.ts'
import { reply, replyPage } from '../reply.ts'
import type { Console } from './console.ts'
import { Feed } from './feed.ts'
import { consolePage } from './pages.ts'
import { style } from './style.ts'

/** The page's scripts, as compiled; `main` is the one that the page names, the others are what it imports. */
export const scripts = ['main', 'dom', 'group-card', 'members', 'plots', 'story', 'words'] as const

/** Beside this file when that is compiled, else where the build puts them. */
const places = ['./page/', '../../../dist/kernel/node/console/page/']

export function addConsoleRoutes(server: HttpServer, console: Console): void {
  const feed = new Feed(() => JSON.stringify(console.snapshot()))
  console.whenSampled(() => {
    feed.push()
    if (feed.isWatched) console.askForLags()
  })
  server.route('/', (_request, response) => replyPage(response, 200, consolePage))
  server.route('/console/events', (request, response) => {
    feed.open(request, response)
    console.askForLags()
  })
  server.route(
    '/console/style.css',
    (_request, response) => reply(response, 200, style, 'text/css; charset=utf-8'),
    // for the page that asks for the token as well
    { isOpen: true },
  )
  for (const name of scripts) {
    server.route(`/console/${name}.js`, async (_request, response) =>
      reply(response, 200, await script(name), 'text/javascript; charset=utf-8'),
    )
  }
}

async function script(name: string): Promise<string> {
  for (const place of places) {
    try {
      return await readFile(new URL(`${place}${name}.js`, import.meta.url), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  throw new Error(`${name}.js is not built; run npm run build`)
}
