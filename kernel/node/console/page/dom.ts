/**
 * What the page uses of a browser, as types: small enough to write down, so that the names of a browser do not get
 * into the types of the whole project. And the one way in which elements are made: text stays text.
 */

export interface PageElement {
  textContent: string | null
  className: string
  hidden: boolean
  open?: boolean
  readonly childElementCount: number
  setAttribute(name: string, value: string): void
  removeAttribute(name: string): void
  append(...nodes: (PageElement | string)[]): void
  replaceChildren(...nodes: (PageElement | string)[]): void
  remove(): void
}

interface PageDocument {
  title: string
  readonly visibilityState: string
  getElementById(id: string): PageElement | null
  querySelector(selector: string): PageElement | null
  createElement(tag: string): PageElement
  createElementNS(namespace: string, tag: string): PageElement
}

export interface Feed {
  readonly readyState: number
  onopen: (() => void) | null
  onerror: (() => void) | null
  addEventListener(type: string, listener: (event: { readonly data: string }) => void): void
  close(): void
}

interface Browser {
  readonly document: PageDocument
  readonly EventSource: { new (url: string): Feed; readonly CLOSED: number }
  fetch(url: string, options: { readonly method: string }): Promise<{ readonly status: number }>
}

const browser = globalThis as unknown as Browser
export const { document, EventSource: FeedSource } = browser

/** The status of an answer; 0 where there is none. */
export function statusOf(url: string): Promise<number> {
  return browser.fetch(url, { method: 'HEAD' }).then(
    ({ status }) => status,
    () => 0,
  )
}

export type Attributes = Readonly<Record<string, string | number | undefined>>

export function el(
  tag: string,
  attributes: Attributes = {},
  ...children: (PageElement | string)[]
): PageElement {
  return filled(document.createElement(tag), attributes, children)
}

export function svg(tag: string, attributes: Attributes = {}, ...children: PageElement[]): PageElement {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)
}

export function byId(id: string): PageElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found
}

/** Changes the text only where it is another: a reader's selection and a screen reader's place stay. */
export function setText(element: PageElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

function filled(
  element: PageElement,
  attributes: Attributes,
  children: readonly (PageElement | string)[],
): PageElement {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, String(value))
  }
  element.append(...children)
  return element
}
