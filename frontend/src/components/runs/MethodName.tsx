import { useMethod } from "./methods";

export const MethodName = ({ name }: { name: string }) => useMethod(name).label;
